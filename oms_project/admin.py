"""Table of contents: what the project's own floor does to the admin."""

from oms_project.tasks import admin as tasks_admin

__all__ = ["tasks_admin"]
