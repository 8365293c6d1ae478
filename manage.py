#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys
import warnings

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms_project.settings")
    warnings.filterwarnings("ignore", message="Engine not recognized")  # settings say it in one line, without the address
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(sys.stderr.write(f"{error}\n") and 2)
