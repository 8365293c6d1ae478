"""The counters that the answers' own table replaces."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("dealers", "0005_answers_move")]

    operations = [
        migrations.RemoveField("dealer", "accepted_count"),
        migrations.RemoveField("dealer", "refused_count"),
    ]
