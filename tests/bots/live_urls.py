"""The live board at its place, without the other doors."""

from django.urls import include, path

urlpatterns = [path("live/", include("bots.live.urls"))]
