"""A stock OAuth 2.0 client: knows a token endpoint, an id and a secret, and nothing of portals. Prints JSON."""

import json
import os
import sys

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

# The house of this test is on this machine, and speaks no TLS.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"


def call(portal, client_id, secret, method):
    """Gets a token in one of the ways that OAuth knows, and calls the portal with it."""
    session = OAuth2Session(client_id, secret, token_endpoint_auth_method=method)
    token = session.fetch_token(f"{portal}/tokens", grant_type="client_credentials")
    answer = session.post(portal, json={})
    return {
        "status": answer.status_code,
        "body": answer.json(),
        "token_type": token["token_type"],
        "expires_in": token["expires_in"],
        "expired": token.is_expired(),
    }


def refusal(portal, client_id, secret, **more):
    try:
        OAuth2Session(client_id, secret).fetch_token(f"{portal}/tokens", **more)
    except OAuthError as error:
        return [error.error, error.description]
    return None


def device(portal, approve):
    """Gets a token for a code (RFC 8628), once whoever is asked has approved it, and calls the portal with it."""
    session = OAuth2Session("any client")
    asked = session.post(f"{portal}/codes", withhold_token=True).json()
    fetch = lambda: session.fetch_token(
        f"{portal}/tokens",
        grant_type="urn:ietf:params:oauth:grant-type:device_code",
        device_code=asked["device_code"],
    )
    try:
        fetch()
    except OAuthError as error:
        pending = error.error
    approve(asked["user_code"])
    token = fetch()
    return {
        "status": session.post(portal, json={}).status_code,
        "pending": pending,
        "verification_uri_complete": asked["verification_uri_complete"],
        "token_type": token["token_type"],
        "expires_in": token["expires_in"],
    }


def approve_as(token, url):
    """What a member does in the console."""

    def approve(code):
        headers = {"Authorization": f"Bearer {token}"}
        shown = requests.get(f"{url}/v2/codes/{code}", headers=headers).json()
        body = {"revision": shown["portal"]["revision"]}
        requests.post(f"{url}/v2/codes/{code}/authorize", headers=headers, json=body).raise_for_status()

    return approve


def main():
    portal, client_id = sys.argv[1:]
    url = portal.split("/organizations/")[0]
    secret = os.environ["SECRET"]
    methods = ["client_secret_basic", "client_secret_post"]
    print(
        json.dumps(
            {
                "device": device(portal, approve_as(os.environ["MEMBER"], url)),
                "calls": [call(portal, client_id, secret, method) for method in methods],
                "wrong_secret": refusal(portal, client_id, "pts_wrong", grant_type="client_credentials"),
                "wrong_grant": refusal(portal, client_id, secret, grant_type="password", username="a", password="b"),
                "too_long": refusal(portal, client_id, secret, grant_type="client_credentials", expires_in=61),
            }
        )
    )


if __name__ == "__main__":
    main()
