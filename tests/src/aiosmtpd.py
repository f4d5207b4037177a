"""A next hop that takes every message and keeps it in its folder, with a line about each in messages.jsonl."""

import asyncio
import json
import logging
import re
import ssl
import sys

from aiosmtpd.smtp import SMTP

SETTINGS = json.loads(sys.argv[1])


class Server(SMTP):
    """aiosmtpd, with REQUIRETLS in TLS (RFC 8689) where that is asked for."""

    demanded = False

    def requiretls(self):
        return SETTINGS["requiretls"] and self.session.ssl is not None

    async def smtp_MAIL(self, arg):
        # What aiosmtpd does not know it refuses, as it should in clear.
        self.demanded = False
        if arg and self.requiretls():
            arg, found = re.subn(r"(?i) REQUIRETLS(?= |$)", "", arg, count=1)
            self.demanded = found > 0
        await super().smtp_MAIL(arg)


class Handler:
    """What is answered, and what is kept."""

    count = 0

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        if server.requiretls():
            server.command_size_limits["MAIL"] += len(" REQUIRETLS")
            responses.insert(-1, "250-REQUIRETLS")
        return responses

    async def handle_MAIL(self, server, session, envelope, address, options):
        envelope.mail_from = address
        envelope.mail_options = options + ["REQUIRETLS"] * server.demanded
        return "250 2.1.0 OK"

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        file = f"message-{self.count}.eml"
        with open(file, "wb") as message:
            message.write(envelope.original_content)
        tls = session.ssl and {
            "version": session.ssl["ssl_object"].version(),
            "cipher": session.ssl["cipher"][0],
        }
        line = {
            "ehlo": session.host_name,
            "from": "" if envelope.mail_from == "<>" else envelope.mail_from,
            "parameters": envelope.mail_options,
            "to": envelope.rcpt_tos,
            "tls": tls,
            "file": file,
        }
        with open("messages.jsonl", "a", encoding="utf-8") as messages:
            messages.write(json.dumps(line) + "\n")
        return f"250 2.0.0 OK {file}"


async def main():
    logging.basicConfig(level=logging.INFO)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(SETTINGS["certificate"], SETTINGS["key"])
    loop, handler = asyncio.get_running_loop(), Handler()

    def session():
        return Server(handler, hostname=SETTINGS["hostname"], tls_context=tls, enable_SMTPUTF8=True, loop=loop)

    server = await loop.create_server(session, SETTINGS["ip"], SETTINGS["port"])
    await server.serve_forever()


asyncio.run(main())
