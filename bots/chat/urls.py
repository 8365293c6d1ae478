"""The doors of the demo group."""

from django.urls import path

from bots.chat import views

urlpatterns = [
    path("", views.page, name="chat"),
    path("messages", views.messages, name="chat-messages"),
    path("say", views.say, name="chat-say"),
    path("press", views.press, name="chat-press"),
]
