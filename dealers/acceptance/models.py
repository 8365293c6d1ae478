"""What a dealer's answers weigh, from which routing learns how likely it says yes."""

from django.db import models

from dealers.acceptance.rules import Answers
from dealers.directory.models import Dealer


class Acceptance(models.Model):
    """One dealer's answers: all of them counted, and weighed by age as of a day (thousandths of an answer)."""

    dealer = models.OneToOneField(Dealer, on_delete=models.CASCADE, related_name="+", verbose_name="经销商")
    yes_weight = models.PositiveBigIntegerField("接单权重（千分）", default=0)
    no_weight = models.PositiveBigIntegerField("拒单与超时权重（千分）", default=0)
    as_of = models.DateField("计到")
    accepted_count = models.PositiveIntegerField("累计接单", default=0)
    refused_count = models.PositiveIntegerField("累计拒单与超时", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "接单概率"

    def __str__(self) -> str:
        return f"{self.dealer_id}"

    @property
    def answers(self) -> Answers:
        return Answers(self.yes_weight, self.no_weight, self.as_of)
