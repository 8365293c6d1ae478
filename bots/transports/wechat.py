"""WeChat mini-program login: the only module that speaks to the WeChat open API.

wechatpy's client makes the call. Its automatic token retry stays off (it can recurse without end
on a permanent 40001), and an access token, which this call does not need, is kept out of the
parameters, since fetching one would ignore the timeout.
"""

import requests
from django.conf import settings
from wechatpy import WeChatClient
from wechatpy.exceptions import WeChatClientException

from oms_project.refusal import Refusal

_TIMEOUT_SECONDS = 5


class WeChatUnavailable(Refusal):
    """WeChat did not answer, or refused us for reasons the person cannot mend."""


class WeChatCodeRefused(Refusal):
    """The login code is wrong, used or too old: 40029, 40163, 40226."""


def openid_for(code: str) -> str:
    """The openid behind a wx.login code (sns/jscode2session). The session key is dropped at once."""
    if not settings.WECHAT_APP_ID or not settings.WECHAT_APP_SECRET:
        raise WeChatUnavailable("尚未配置小程序，请用手机号登录")
    client = WeChatClient(settings.WECHAT_APP_ID, settings.WECHAT_APP_SECRET, timeout=_TIMEOUT_SECONDS, auto_retry=False)
    params = {
        "appid": settings.WECHAT_APP_ID,
        "secret": settings.WECHAT_APP_SECRET,
        "js_code": code,
        "grant_type": "authorization_code",
        "access_token": None,
    }
    try:
        answer = client.get(f"{settings.WECHAT_API_BASE}sns/jscode2session", params=params)
    except WeChatClientException as error:
        if error.errcode in {40029, 40163, 40226}:
            raise WeChatCodeRefused("微信登录码无效或已使用，请重试") from error
        raise WeChatUnavailable("微信服务暂不可用，请用手机号登录") from error
    except (requests.RequestException, ValueError) as error:
        raise WeChatUnavailable("微信服务暂不可用，请用手机号登录") from error
    openid = answer.get("openid") if isinstance(answer, dict) else None
    if not isinstance(openid, str) or not openid:
        raise WeChatUnavailable("微信服务暂不可用，请用手机号登录")
    return openid
