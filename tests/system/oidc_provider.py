"""A small OpenID Connect provider over HTTPS, with an authority of its own: everybody is logged in at once, as whom `person` says, and `faults` make it lie."""

import base64
import hashlib
import http.server
import json
import ssl
import threading
import time
import urllib.parse
import uuid

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CLIENT_ID, CLIENT_SECRET = "decant:test", "s3cret/+%&="
KINDS = {"RS256": lambda: rsa.generate_private_key(65537, 2048), "PS256": lambda: rsa.generate_private_key(65537, 2048),
         "ES256": lambda: ec.generate_private_key(ec.SECP256R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    def __init__(self, folder, name):
        self.person = {"sub": "ada", "email": "ada@example.org", "email_verified": True, "groups": []}
        self.faults, self.claims, self.codes, self.asked = {}, {}, {}, []
        self.rotate("RS256")
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                provider.asked.append(url.path)
                fields = dict(urllib.parse.parse_qsl(url.query))
                if url.path == "/realms/test/.well-known/openid-configuration":
                    self.answer(200, provider.discovery())
                elif url.path == "/keys":
                    self.answer(200, {"keys": [provider.public()]})
                elif url.path == "/authorize":
                    self.answer(302, {}, Location=provider.authorize(fields))
                else:
                    self.answer(404, {})

            def do_POST(self):
                provider.asked.append(self.path)
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
                self.answer(*provider.token(form, self.headers.get("authorization", "")))

            def answer(self, status, json_, **headers):
                body = json.dumps(json_).encode()
                self.send_response(status)
                for header, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(header, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_port
        self.url = f"https://{name}:{self.port}"
        self.issuer = self.url + "/realms/test"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def rotate(self, algorithm):
        """Another key, by which the next token is signed; the old one is published no more."""
        self.algorithm, self.kid, self.key = algorithm, uuid.uuid4().hex, KINDS[algorithm]()

    def public(self):
        key = self.key.public_key()
        if self.algorithm == "EdDSA":
            numbers = {"kty": "OKP", "crv": "Ed25519", "x": base64url(key.public_bytes(Encoding.Raw, PublicFormat.Raw))}
        elif self.algorithm == "ES256":
            numbers = {"kty": "EC", "crv": "P-256", **{name: base64url(getattr(key.public_numbers(), name).to_bytes(32, "big")) for name in "xy"}}
        else:
            numbers = {"kty": "RSA", "n": base64url(key.public_numbers().n.to_bytes(256, "big")), "e": "AQAB"}
        return {**numbers, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def discovery(self):
        return {"issuer": self.issuer, "authorization_endpoint": self.url + "/authorize?tenant=1", "token_endpoint": self.url + "/token", "jwks_uri": self.url + "/keys",
                "response_types_supported": ["code"], "code_challenge_methods_supported": ["plain", "S256"], "authorization_response_iss_parameter_supported": True,
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"]}

    def authorize(self, fields):
        """Where the browser goes next."""
        assert fields["response_type"] == "code" and fields["client_id"] == CLIENT_ID and fields["code_challenge_method"] == "S256" and fields["tenant"] == "1"
        assert "openid" in fields["scope"].split()
        answer = {"state": fields["state"], "iss": self.faults.get("answer_iss", self.issuer)}
        if "deny" in self.faults:
            answer["error"] = self.faults["deny"]
        else:
            answer["code"] = uuid.uuid4().hex
            self.codes[answer["code"]] = fields
        return fields["redirect_uri"] + "?" + urllib.parse.urlencode(answer)

    def token(self, form, authorization):
        if "status" in self.faults:
            return self.faults["status"], {"error": "server_error"}
        asked = self.codes.pop(form.get("code"), None)
        user, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if (urllib.parse.unquote_plus(user), urllib.parse.unquote_plus(secret)) != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        if not asked or asked["redirect_uri"] != form["redirect_uri"] or base64url(hashlib.sha256(form["code_verifier"].encode()).digest()) != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        access = uuid.uuid4().hex
        hash_ = hashlib.sha512 if self.algorithm == "EdDSA" else hashlib.sha256
        digest = hash_(access.encode()).digest()
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "exp": now + 300, "iat": now, "nonce": asked["nonce"], "at_hash": base64url(digest[:len(digest) // 2]), **self.person, **self.claims}
        return 200, {"access_token": access, "token_type": "Bearer", "id_token": self.sign(claims)}

    def sign(self, claims):
        algorithm = self.faults.get("alg", self.algorithm)
        key = {"none": None, "HS256": CLIENT_SECRET}.get(algorithm, self.key)
        if self.faults.get("key") == "another":
            key = KINDS[algorithm]()
        return jwt.encode(claims, key, algorithm, headers={"kid": self.faults.get("kid", self.kid)})

    def lie(self, faults=None, **claims):
        """For the logins that follow; without anything the truth again."""
        self.faults, self.claims = faults or {}, claims

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
