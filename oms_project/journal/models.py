"""The event log, which is also the outbox and the source of the live feed."""

from django.db import models


class Entry(models.Model):
    """One recorded fact. Written once by `journal.record`, never changed."""

    name = models.CharField("事件", max_length=40)
    subject = models.CharField("对象", max_length=80)
    rooms = models.CharField("受众", max_length=120, help_text="以空格包围的房间名，例如 ' ops dealer:7 '")
    actor = models.CharField("操作人", max_length=80, blank=True)
    payload = models.JSONField("内容")
    recorded_at = models.DateTimeField("记录时间")
    xid = models.BigIntegerField("事务号", default=0, help_text="PostgreSQL 的事务号，SQLite 恒为 0；实时流按 (xid, id) 排序")

    class Meta:
        verbose_name = "事件"
        verbose_name_plural = "事件日志"
        indexes = [
            models.Index(fields=["xid", "id"], name="journal_in_feed_order"),
            models.Index(fields=["subject", "id"], name="journal_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.subject}"


class Delivery(models.Model):
    """An entry that one subscriber has still to act on; deleted in the transaction that acts.

    The table holds only what is waiting, so its size follows the backlog and not the history.
    `parked_at` marks a dead letter: it waits for a person to retry it.
    """

    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="+", verbose_name="事件")
    subscriber = models.CharField("订阅者", max_length=80)
    due_at = models.DateTimeField("到期时间")
    tries = models.PositiveSmallIntegerField("已尝试", default=0)
    last_error = models.CharField("最近错误", max_length=300, blank=True)
    parked_at = models.DateTimeField("停放时间", null=True, blank=True)

    class Meta:
        verbose_name = "待投递"
        verbose_name_plural = "待投递与死信"
        indexes = [
            models.Index(fields=["subscriber", "due_at", "id"], name="journal_due", condition=models.Q(parked_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.subscriber} ← {self.entry_id}"
