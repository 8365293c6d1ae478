from datetime import datetime
import time
import pytest
from dealers.divisions import actions as divisions
from dealers.models import Division, Township, DivisionEdition
pytestmark = pytest.mark.django_db
def test_x(at: datetime) -> None:
    t=time.time(); l=divisions.load_divisions(at=at); print(l, time.time()-t)
    t=time.time(); l=divisions.load_divisions(at=at); print(l, time.time()-t)
    print(Division.objects.get(code='500112').replaced_by.all(), DivisionEdition.objects.count())
