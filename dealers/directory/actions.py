"""Writes to people and places: the divisions, a person's mini-program identity, their sessions."""

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.db import IntegrityError, transaction
from django.db.models import F

from dealers.directory.models import Division, Staff
from oms_project.refusal import Refusal

DIVISIONS = Path(__file__).parent / "data" / "divisions.csv"
_BATCH = 500


class WechatTaken(Refusal):
    """One mini-program identity is one person."""


@transaction.atomic
def load_divisions(*, at: datetime) -> int:
    """Bring the table of divisions to what data/divisions.csv says; returns how many it holds. Repeatable.

    Provinces come before cities and cities before counties in the file, so parents exist first.
    Divisions that are not in the file stay: orders may point to them.
    """
    divisions = list(_divisions())
    Division.objects.bulk_create(
        divisions,
        batch_size=_BATCH,
        update_conflicts=True,
        unique_fields=["code"],
        update_fields=["name", "level", "parent", "lng", "lat", "population"],
    )
    return len(divisions)


def _divisions() -> Iterator[Division]:
    with DIVISIONS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield Division(
                code=row["code"],
                name=row["name"],
                level=int(row["level"]),
                parent_id=row["parent"] or None,
                lng=float(row["lng"]),
                lat=float(row["lat"]),
                population=int(row["population"]),
            )


@transaction.atomic
def bind_wechat(*, staff: Staff, openid: str) -> None:
    """Let a person log in by their mini-program identity. Raises WechatTaken when it is somebody else's."""
    try:
        with transaction.atomic():
            Staff.objects.filter(pk=staff.pk).update(wechat_openid=openid or None)
    except IntegrityError:
        raise WechatTaken("该微信已绑定其他人员") from None
    staff.wechat_openid = openid or None


@transaction.atomic
def end_sessions(*, staff: Staff) -> None:
    """Every login of this person ends at its next request."""
    Staff.objects.filter(pk=staff.pk).update(session_version=F("session_version") + 1)
    staff.refresh_from_db(fields=["session_version"])
