"""Addresses of the account pages."""

from __future__ import annotations

from django.contrib.auth import views as auth
from django.urls import path

from webapp.accounts import views

urlpatterns = [
    path(
        "log-in/",
        auth.LoginView.as_view(template_name="accounts/log_in.html", redirect_authenticated_user=True),
        name="login",
    ),
    path("log-out/", auth.LogoutView.as_view(), name="logout"),
    path("tokens/", views.tokens, name="tokens"),
    path("tokens/<int:pk>/revoke/", views.revoke, name="token_revoke"),
    path(
        "password/",
        auth.PasswordChangeView.as_view(
            template_name="accounts/password.html", success_url="/accounts/tokens/"
        ),
        name="password_change",
    ),
]
