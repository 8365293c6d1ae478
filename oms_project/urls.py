"""Every HTTP door."""

from django.contrib import admin
from django.shortcuts import redirect
from django.urls import include, path

from bots.callbacks import wecom_callback
from oms_project.tasks.health import healthz
from orders.intake.webhooks import doudian_push
from orders.promise.api import Promises

urlpatterns = [
    path("", lambda request: redirect("admin:index")),
    path("admin/", admin.site.urls),
    path("api/stock/promise", Promises.as_view()),
    path("api/stock/", include("inventory.partners.urls")),
    path("api/", include("bots.miniapp.urls")),
    path("live/", include("bots.live.urls")),
    path("chat/", include("bots.chat.urls")),
    path("channels/doudian/push", doudian_push),
    path("callbacks/wecom/", wecom_callback),
    path("healthz", healthz),
]

handler400 = "bots.miniapp.problems.bad_request"
handler404 = "bots.miniapp.problems.not_found"
handler500 = "bots.miniapp.problems.server_error"
