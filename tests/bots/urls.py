"""The doors under test, at the addresses of the real ones."""

from django.contrib import admin
from django.urls import include, path

from bots.callbacks import wecom_callback

urlpatterns = [
    path("admin/", admin.site.urls),
    path("callbacks/wecom/", wecom_callback),
    path("chat/", include("bots.chat.urls")),
]
