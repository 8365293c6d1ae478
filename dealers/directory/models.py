"""Who the dealers are, where they work and what they can do; and everybody who logs in."""

from collections.abc import Iterator
from datetime import time
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.utils.crypto import salted_hmac


class Dealer(models.Model):
    """A dealer organisation: it stocks, delivers, installs, and is paid for it."""

    class Tier(models.TextChoices):
        GOLD = "gold", "金牌"
        SILVER = "silver", "银牌"
        STANDARD = "standard", "标准"

    code = models.CharField("编码", max_length=20, unique=True)
    name = models.CharField("名称", max_length=60)
    tier = models.CharField("等级", max_length=10, choices=Tier.choices, default=Tier.STANDARD)
    division_code = models.CharField("所在区县", max_length=6)
    is_active = models.BooleanField("合作中", default=True)
    is_paused = models.BooleanField("暂停接单", default=False)
    opens_at = models.TimeField("上班", default=time(9, 0))
    closes_at = models.TimeField("下班", default=time(21, 0))
    weekdays = models.CharField("工作日", max_length=7, default="1234567", help_text="1 是周一，7 是周日")
    capacity_per_day = models.PositiveIntegerField("每日接单上限", default=200)
    carry_over_percent = models.PositiveSmallIntegerField(
        "结转上限（%）", default=0, help_text="前几天没用完的名额可以累积到今天，最多为每日上限的百分之几；0 为不结转"
    )

    class Meta:
        verbose_name = verbose_name_plural = "经销商"
        constraints = [
            models.CheckConstraint(condition=models.Q(carry_over_percent__lte=500), name="at_most_five_days_carry_over")
        ]

    def __str__(self) -> str:
        return self.name


class Skill(models.Model):
    """Something a dealer is able to do, e.g. install:furniture."""

    dealer = models.ForeignKey(Dealer, on_delete=models.CASCADE, related_name="skills", verbose_name="经销商")
    code = models.CharField("技能", max_length=30, help_text="deliver、install:furniture、install:appliance …")

    class Meta:
        verbose_name = verbose_name_plural = "技能"
        constraints = [models.UniqueConstraint(fields=["dealer", "code"], name="a_dealer_has_a_skill_once")]

    def __str__(self) -> str:
        return self.code


class ServiceArea(models.Model):
    """A dealer serves a division: its own territory, or a neighbour's at a fee.

    `division_code` may be a prefix (2, 4 or 6 digits); an empty channel means all channels.
    """

    class Kind(models.TextChoices):
        TERRITORY = "territory", "辖区"
        NEIGHBOUR = "neighbour", "可跨区"

    dealer = models.ForeignKey(Dealer, on_delete=models.CASCADE, related_name="areas", verbose_name="经销商")
    division_code = models.CharField("区划代码", max_length=6, db_index=True)
    kind = models.CharField("类别", max_length=10, choices=Kind.choices, default=Kind.TERRITORY)
    channel = models.CharField("渠道", max_length=20, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "服务区域"
        constraints = [
            models.UniqueConstraint(fields=["dealer", "division_code", "channel"], name="a_dealer_serves_an_area_once")
        ]

    def __str__(self) -> str:
        return f"{self.dealer_id} · {self.division_code}"


class StaffManager(BaseUserManager["Staff"]):
    def create_user(self, phone: str, password: str | None = None, **fields: Any) -> "Staff":
        staff = self.model(phone=phone, **fields)
        staff.set_password(password)
        staff.save(using=self._db)
        return staff

    def create_superuser(self, phone: str, password: str | None = None, **fields: Any) -> "Staff":
        return self.create_user(phone, password, role=Staff.Role.ADMIN, is_staff=True, is_superuser=True, **fields)


class Staff(AbstractBaseUser, PermissionsMixin):
    """Everybody who logs in: HQ people (no dealer) and dealers' people (one dealer)."""

    class Role(models.TextChoices):
        ADMIN = "admin", "管理员"
        OPERATOR = "operator", "直播运营"
        FINANCE = "finance", "财务"
        OWNER = "owner", "经销商老板"
        CLERK = "clerk", "经销商店员"
        INSTALLER = "installer", "安装师傅"

    HQ_ROLES: ClassVar[frozenset[str]] = frozenset({"admin", "operator", "finance"})

    phone = models.CharField("手机号", max_length=20, unique=True)
    name = models.CharField("姓名", max_length=30)
    role = models.CharField("角色", max_length=10, choices=Role.choices)
    dealer = models.ForeignKey(
        Dealer, on_delete=models.PROTECT, null=True, blank=True, related_name="staff", verbose_name="经销商"
    )
    wechat_openid = models.CharField("小程序 openid", max_length=64, null=True, blank=True, unique=True)
    is_active = models.BooleanField("启用", default=True)
    is_staff = models.BooleanField("可进后台", default=False)
    session_version = models.PositiveIntegerField("会话版本", default=1, help_text="加一即让此人所有登录失效")

    objects = StaffManager()
    USERNAME_FIELD = "phone"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        verbose_name = verbose_name_plural = "人员"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=["admin", "operator", "finance"], dealer=None)
                | models.Q(role__in=["owner", "clerk", "installer"], dealer__isnull=False),
                name="hq_people_have_no_dealer_and_dealers_people_have_one",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_full_name(self) -> str:
        return self.name

    def get_session_auth_hash(self) -> str:
        """Binds login cookies to the password and the session version: raising either ends them."""
        return salted_hmac("dealers.staff.session", f"{self.password}:{self.session_version}", algorithm="sha256").hexdigest()

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        for secret in settings.SECRET_KEY_FALLBACKS:
            content = f"{self.password}:{self.session_version}"
            yield salted_hmac("dealers.staff.session", content, secret=secret, algorithm="sha256").hexdigest()

    @property
    def is_hq(self) -> bool:
        return self.role in self.HQ_ROLES
