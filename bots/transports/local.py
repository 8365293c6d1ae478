"""The demo group on /chat/: its platform is our own table of chat lines."""

from datetime import datetime

from bots.cards import Card, close
from bots.models import ChatMessage

PLATFORM = "local"
BOT = "机器人"


def send_card(room: str, key: str, card: Card, *, at: datetime) -> None:
    """Put a card into a room, once per key."""
    ChatMessage.objects.get_or_create(card_key=key, defaults={"room": room, "sender": BOT, "card": card.as_dict(), "sent_at": at})


def send_text(room: str, text: str, *, sender: str = BOT, at: datetime) -> None:
    ChatMessage.objects.create(room=room, sender=sender, text=text, sent_at=at)


def close_card(key: str, state: str, ending: str) -> None:
    """Take the buttons of a card away and say how the offer ended."""
    for line in ChatMessage.objects.filter(card_key=key):
        if line.card:
            closed = close(Card.from_dict(line.card), state, ending)
            ChatMessage.objects.filter(pk=line.pk).update(card=closed.as_dict())


def redraw_card(key: str, card: Card) -> None:
    ChatMessage.objects.filter(card_key=key).update(card=card.as_dict())
