"""/live/: the live board."""

from django.urls import path

from bots.live import views

urlpatterns = [
    path("live/", views.board, name="live"),
    path("live/figures", views.figures, name="live-figures"),
]
