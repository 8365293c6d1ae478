"""The live board, to be included at /live/."""

from django.urls import path

from bots.live import views

urlpatterns = [
    path("", views.board, name="live"),
    path("figures", views.figures, name="live-figures"),
    path("locks", views.locks, name="live-locks"),
]
