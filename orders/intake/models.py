"""Where orders come from, and what the channels said, kept as received."""

from django.db import models
from django.db.models import Q

from oms_project.sealed import SealedTextField


class ChannelAccount(models.Model):
    """One shop on one channel, with the keys by which it signs and we call it."""

    class Channel(models.TextChoices):
        DOUDIAN = "doudian", "抖店"

    channel = models.CharField("渠道", max_length=20, choices=Channel.choices)
    shop = models.CharField("店铺编码", max_length=40, help_text="平台店铺 ID")
    name = models.CharField("店铺名称", max_length=60)
    app_key = models.CharField("App Key", max_length=60, db_index=True)
    app_secret = SealedTextField("App Secret")
    access_token = SealedTextField("Access Token", blank=True)
    api_base = models.CharField("接口地址", max_length=200, default="https://openapi-fxg.jinritemai.com")
    is_active = models.BooleanField("启用", default=True)
    refused_count = models.PositiveIntegerField("验签失败次数", default=0)
    last_heard_at = models.DateTimeField("最近推送", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "渠道店铺"
        constraints = [models.UniqueConstraint(fields=["channel", "shop"], name="one_account_per_shop")]

    def __str__(self) -> str:
        return self.name


class SourceMessage(models.Model):
    """One pushed message, stored before it was acknowledged; also the work queue of intake.

    `detail_sealed` is the channel's order document fetched for it, encrypted as received: the
    source order. A claimed message has `due_at` in the future (a lease) until it is done.
    """

    account = models.ForeignKey(ChannelAccount, on_delete=models.PROTECT, related_name="+", verbose_name="店铺")
    message_key = models.CharField("消息键", max_length=120)
    tag = models.CharField("标签", max_length=20)
    external_id = models.CharField("平台单号", max_length=40, blank=True)
    body_sealed = models.TextField("原文（加密）")
    detail_sealed = models.TextField("平台订单（加密）", blank=True)
    received_at = models.DateTimeField("收到时间")
    due_at = models.DateTimeField("到期时间", null=True, blank=True, help_text="为空即已处理或停放")
    done_at = models.DateTimeField("处理时间", null=True, blank=True)
    outcome = models.CharField("结果", max_length=20, blank=True)
    tries = models.PositiveSmallIntegerField("已尝试", default=0)
    last_error = models.CharField("最近错误", max_length=300, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "平台消息"
        constraints = [models.UniqueConstraint(fields=["account", "message_key"], name="a_message_is_stored_once")]
        indexes = [
            models.Index(fields=["due_at", "id"], condition=Q(done_at=None), name="message_due"),
            models.Index(fields=["external_id"], name="message_by_order"),
        ]

    def __str__(self) -> str:
        return self.message_key
