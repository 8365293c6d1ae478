"""What others may ask about dealers' answers."""

from datetime import date

from dealers.acceptance.models import Acceptance
from dealers.acceptance.rules import Answers


def answers_on(day: date) -> dict[int, Answers]:
    """The answers of every dealer who ever gave one, as they weigh on a day."""
    return {row.dealer_id: row.answers.on(day) for row in Acceptance.objects.all()}


def answers_of(dealer_id: int) -> Acceptance | None:
    """One dealer's answers as they were last counted."""
    return Acceptance.objects.filter(dealer_id=dealer_id).first()
