"""Addresses of the stock API, under /api/stock/."""

from django.urls import path

from inventory.partners import api

urlpatterns = [
    path("levels", api.Levels.as_view()),
    path("movements", api.Movements.as_view()),
    path("pool", api.Pool.as_view()),
    path("published", api.Published.as_view()),
]
