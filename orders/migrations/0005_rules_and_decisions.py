"""Two lines of change come together."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_decisions_tell_their_terms"), ("orders", "0004_orders_have_tags")]
    operations = []
