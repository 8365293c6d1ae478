"""Who is who in chat, what the platforms sent, which cards are out, and short-lived passes."""

from django.conf import settings
from django.db import models
from django.db.models import Q


class ChatIdentity(models.Model):
    """A chat user who is one of our people. Cards can be forwarded: authority is checked here."""

    class Platform(models.TextChoices):
        WECOM = "wecom", "企业微信"
        LOCAL = "local", "本地演示群"

    platform = models.CharField("平台", max_length=10, choices=Platform.choices)
    tenant = models.CharField("企业", max_length=64)
    user_id = models.CharField("成员 ID", max_length=64)
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name="人员")
    is_active = models.BooleanField("有效", default=True)

    class Meta:
        verbose_name = verbose_name_plural = "群成员绑定"
        constraints = [models.UniqueConstraint(fields=["platform", "tenant", "user_id"], name="a_chat_user_is_one_person")]
        indexes = [models.Index(fields=["staff"], name="chat_identity_by_staff")]

    def __str__(self) -> str:
        return f"{self.platform}:{self.user_id}"


class InboundEvent(models.Model):
    """One event a chat platform delivered; a repeat gets the stored answer and acts no more."""

    platform = models.CharField("平台", max_length=10)
    tenant = models.CharField("企业", max_length=64)
    event_id = models.CharField("事件 ID", max_length=160)
    sender_id = models.CharField("发送人", max_length=64, blank=True)
    kind = models.CharField("类别", max_length=20)
    content_sealed = models.TextField("内容（加密）", blank=True)
    answer = models.TextField("答复", blank=True)
    received_at = models.DateTimeField("收到时间")
    due_at = models.DateTimeField("到期时间", null=True, blank=True)
    done_at = models.DateTimeField("处理时间", null=True, blank=True)
    tries = models.PositiveSmallIntegerField("已尝试", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "群消息"
        constraints = [models.UniqueConstraint(fields=["platform", "tenant", "event_id"], name="a_chat_event_is_stored_once")]
        indexes = [models.Index(fields=["due_at"], condition=Q(done_at=None), name="chat_event_due")]

    def __str__(self) -> str:
        return self.event_id


class CardMessage(models.Model):
    """One card in one chat, kept in step with its offer."""

    platform = models.CharField("平台", max_length=10)
    tenant = models.CharField("企业", max_length=64)
    recipient = models.CharField("接收人", max_length=64)
    offer_no = models.CharField("要约号", max_length=52, db_index=True)
    task_id = models.CharField("卡片 ID", max_length=128, unique=True)
    response_codes = models.JSONField("更新凭证", default=list, blank=True, help_text="每个凭证只能用一次，72 小时内有效")
    shown_state = models.CharField("已显示状态", max_length=12, default="pending")
    sent_at = models.DateTimeField("发送时间")

    class Meta:
        verbose_name = verbose_name_plural = "卡片消息"

    def __str__(self) -> str:
        return self.task_id


class ChatMessage(models.Model):
    """A line in the local demo group (/chat/), from a person or from the bot."""

    room = models.CharField("群", max_length=40)
    sender = models.CharField("发送人", max_length=64)
    text = models.TextField("内容", blank=True)
    card = models.JSONField("卡片", null=True, blank=True)
    card_key = models.CharField("卡片键", max_length=128, blank=True, db_index=True)
    sent_at = models.DateTimeField("时间")

    class Meta:
        verbose_name = verbose_name_plural = "演示群消息"
        indexes = [models.Index(fields=["room", "id"], name="chat_by_room")]

    def __str__(self) -> str:
        return self.text[:30]


class SocketTicket(models.Model):
    """A one-time pass for a WebSocket, so that no login token stands in an address."""

    digest = models.CharField("摘要", max_length=64, primary_key=True)
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", verbose_name="人员")
    expires_at = models.DateTimeField("到期时间")

    class Meta:
        verbose_name = verbose_name_plural = "实时连接票据"

    def __str__(self) -> str:
        return self.digest[:8]
