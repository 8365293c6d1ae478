"""The queue's own tables stay out of the admin: they hold wake-ups, and what is waiting stands in ours."""

from django.contrib import admin
from django_q import admin as queue_pages
from django_q.models import Failure, OrmQ, Schedule, Success

__all__ = ["queue_pages"]  # imported first, so that they are registered by now

for model in (Failure, OrmQ, Schedule, Success):
    admin.site.unregister(model)
