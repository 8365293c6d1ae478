"""Work is counted per dealer and day; a dealer's answers get a table of their own."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dealers", "0003_divisions_over_time")]

    operations = [
        migrations.AddField("dealer", "carry_over_percent", models.PositiveSmallIntegerField(
            default=0, help_text="前几天没用完的名额可以累积到今天，最多为每日上限的百分之几；0 为不结转", verbose_name="结转上限（%）",
        )),
        migrations.AddConstraint("dealer", models.CheckConstraint(
            condition=models.Q(("carry_over_percent__lte", 500)), name="at_most_five_days_carry_over",
        )),
        migrations.CreateModel(
            name="Acceptance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("dealer", models.OneToOneField(
                    on_delete=django.db.models.deletion.CASCADE, related_name="+", to="dealers.dealer", verbose_name="经销商",
                )),
                ("yes_weight", models.PositiveBigIntegerField(default=0, verbose_name="接单权重（千分）")),
                ("no_weight", models.PositiveBigIntegerField(default=0, verbose_name="拒单与超时权重（千分）")),
                ("as_of", models.DateField(verbose_name="计到")),
                ("accepted_count", models.PositiveIntegerField(default=0, verbose_name="累计接单")),
                ("refused_count", models.PositiveIntegerField(default=0, verbose_name="累计拒单与超时")),
            ],
            options={"verbose_name": "接单概率", "verbose_name_plural": "接单概率"},
        ),
        migrations.CreateModel(
            name="DayLoad",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("dealer", models.ForeignKey(
                    on_delete=django.db.models.deletion.PROTECT, related_name="+", to="dealers.dealer", verbose_name="经销商",
                )),
                ("day", models.DateField(verbose_name="日期")),
                ("taken", models.PositiveIntegerField(verbose_name="已派")),
                ("allowed", models.PositiveIntegerField(verbose_name="上限（含结转）")),
                ("closed_at", models.DateTimeField(blank=True, null=True, verbose_name="结束时间")),
            ],
            options={
                "verbose_name": "每日接单量",
                "verbose_name_plural": "每日接单量",
                "constraints": [
                    models.UniqueConstraint(fields=["dealer", "day"], name="a_dealer_has_one_load_a_day"),
                    models.CheckConstraint(
                        condition=models.Q(("taken__lte", models.F("allowed"))), name="never_take_more_work_than_allowed",
                    ),
                ],
                "indexes": [models.Index(fields=["day"], condition=models.Q(("closed_at", None)), name="day_still_open")],
            },
        ),
        migrations.CreateModel(
            name="DaySlot",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("bill", models.CharField(max_length=48, unique=True, verbose_name="履约单号")),
                ("dealer", models.ForeignKey(
                    on_delete=django.db.models.deletion.PROTECT, related_name="+", to="dealers.dealer", verbose_name="经销商",
                )),
                ("day", models.DateField(db_index=True, verbose_name="日期")),
                ("taken_at", models.DateTimeField(verbose_name="占用时间")),
            ],
            options={"verbose_name": "接单名额", "verbose_name_plural": "接单名额"},
        ),
    ]
