from django.apps import AppConfig


class JournalConfig(AppConfig):
    name = "oms_project.journal"
    label = "journal"
    verbose_name = "事件日志"
