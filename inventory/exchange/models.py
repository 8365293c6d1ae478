"""What spreadsheets tell us of stock, kept as it was told."""

from django.db import models
from django.db.models import Q

from inventory.exchange.rules import FAULTS


class StockFile(models.Model):
    """A spreadsheet on its way into the ledger: uploaded → read (preview) → applying → applied → undone.

    The file itself is kept while it is being read, so that any process may go on with it: each piece of work is one
    transaction that raises `version` from what it had seen, and `read_to` says which row was the last. Once the rows are
    applied they tell everything, and the file is let go.
    """

    class Purpose(models.TextChoices):
        STOCK = "stock", "库存（以此为准）"
        COUNT = "count", "盘点"
        CHANGE = "change", "出入库（增减）"
        TRANSFER = "transfer", "调拨"

    class State(models.TextChoices):
        UPLOADED = "uploaded", "待读取"
        READING = "reading", "读取中"
        READY = "ready", "待确认"
        APPLYING = "applying", "执行中"
        APPLIED = "applied", "已执行"
        UNDOING = "undoing", "撤销中"
        UNDONE = "undone", "已撤销"
        REFUSED = "refused", "无法读取"
        DROPPED = "dropped", "已放弃"

    file_no = models.CharField("导入单号", max_length=40, unique=True)
    purpose = models.CharField("用途", max_length=10, choices=Purpose.choices)
    name = models.CharField("文件名", max_length=200)
    digest = models.CharField("摘要", max_length=64, blank=True, help_text="文件内容的 SHA-256")
    body = models.BinaryField("文件内容", null=True, blank=True)
    columns = models.JSONField("列对应", default=dict, blank=True)
    header = models.JSONField("表头", default=list, blank=True)
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.UPLOADED)
    version = models.PositiveIntegerField("版本", default=1)
    problem = models.CharField("说明", max_length=300, blank=True)
    read_to = models.PositiveIntegerField("读到行", default=0)
    total_rows = models.PositiveIntegerField("总行数", default=0)
    bad_rows = models.PositiveIntegerField("错误行", default=0)
    done_rows = models.PositiveIntegerField("已执行行", default=0)
    counted_at = models.DateTimeField("数据时间", null=True, blank=True, help_text="表中数字是什么时候的")
    actor = models.CharField("上传人", max_length=80)
    ordered_by = models.CharField("执行人", max_length=80, blank=True, help_text="最近一次执行或撤销的人")
    uploaded_at = models.DateTimeField("上传时间")
    applied_at = models.DateTimeField("执行时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "库存导入"
        indexes = [
            models.Index(
                fields=["state", "id"],
                condition=Q(state__in=["uploaded", "reading", "applying", "undoing"]),
                name="stock_file_to_work_on",
            ),
            models.Index(fields=["digest"], name="stock_file_by_content"),
        ]

    def __str__(self) -> str:
        return f"{self.file_no} {self.name}"


class StockFileRow(models.Model):
    """One row of a file and what became of it."""

    class State(models.TextChoices):
        READY = "ready", "待执行"
        BAD = "bad", "有误"
        DONE = "done", "已执行"
        SAME = "same", "无变化"
        FAILED = "failed", "未执行"
        UNDONE = "undone", "已撤销"
        KEPT = "kept", "未能撤销"

    file = models.ForeignKey(StockFile, on_delete=models.CASCADE, related_name="rows", verbose_name="导入")
    number = models.PositiveIntegerField("行号")
    node = models.ForeignKey(
        "inventory.Node", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="仓库"
    )
    target = models.ForeignKey(
        "inventory.Node", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="调入仓"
    )
    sku = models.ForeignKey(
        "inventory.Sku", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="SKU"
    )
    quantity = models.BigIntegerField("数量", null=True, blank=True)
    change = models.BigIntegerField("实际增减", default=0)
    measured_at = models.DateTimeField("数据时间", null=True, blank=True)
    reason = models.CharField("备注", max_length=120, blank=True)
    cells = models.JSONField("原文", default=list, blank=True, help_text="执行成功后不再保留")
    fault = models.CharField(
        "错误类别", max_length=10, choices=[(fault.value, words) for fault, words in FAULTS.items()], blank=True
    )
    state = models.CharField("状态", max_length=8, choices=State.choices, default=State.READY)
    problem = models.CharField("说明", max_length=200, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "导入明细"
        constraints = [models.UniqueConstraint(fields=["file", "number"], name="a_file_has_a_row_once")]
        indexes = [models.Index(fields=["file", "state", "number"], name="stock_file_row_by_state")]

    def __str__(self) -> str:
        return f"{self.number}: {self.quantity}"
