"""Addresses of the mini-program API, under /api/."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from bots.miniapp import api, stock

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api-docs"),
    path("login", api.Login.as_view()),
    path("login/wechat", api.WeChatLogin.as_view()),
    path("logout", api.Logout.as_view()),
    path("me", api.Me.as_view()),
    path("me/day", api.MyDay.as_view()),
    path("me/wechat", api.BindWeChat.as_view()),
    path("socket-ticket", api.SocketTicket.as_view()),
    path("offers", api.Offers.as_view()),
    path("offers/<slug:offer_no>", api.OneOffer.as_view(http_method_names=["get", "options"])),
    path("offers/<slug:offer_no>/accept", api.AcceptOffer.as_view()),
    path("offers/<slug:offer_no>/decline", api.DeclineOffer.as_view()),
    path("orders/<slug:order_no>/why-not-me", api.WhyNotMe.as_view()),
    path("works", api.Works.as_view()),
    path("works/<slug:fo_no>", api.OneWork.as_view(http_method_names=["get", "options"])),
    path("works/<slug:fo_no>/ship", api.ShipWork.as_view()),
    path("works/<slug:fo_no>/deliver", api.DeliverWork.as_view()),
    path("works/<slug:fo_no>/schedule", api.ScheduleVisit.as_view()),
    path("works/<slug:fo_no>/install", api.InstallWork.as_view()),
    path("works/<slug:fo_no>/complete", api.CompleteWork.as_view()),
    path("works/<slug:fo_no>/confirm-cancel", api.ConfirmCancel.as_view()),
    path("works/<slug:fo_no>/receiver", api.Receiver.as_view()),
    path("statements", api.Statements.as_view()),
    path("statements/<slug:statement_no>", api.OneStatement.as_view()),
    path("statements/<slug:statement_no>/confirm", api.ConfirmStatement.as_view()),
    path("places", stock.Places.as_view()),
    path("own-stock", stock.Stock.as_view()),
    path("counts", stock.Counts.as_view()),
    path("transfers", stock.Transfers.as_view()),
    path("transfers/<slug:transfer_no>", stock.OneTransfer.as_view()),
    path("transfers/<slug:transfer_no>/ship", stock.ShipTransfer.as_view()),
    path("transfers/<slug:transfer_no>/receive", stock.ReceiveTransfer.as_view()),
]
