"""libgnutls as the system has it, by its binary interface: no headers and no compiler are needed."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import cffi

SONAME = "libgnutls.so.30"

C: TypeAlias = Any
"""What cffi gives back has no types."""

ffi = cffi.FFI()
ffi.cdef("""
typedef struct { unsigned char *data; unsigned int size; } gnutls_datum_t;
typedef struct { unsigned int record_seq, hsk_read_seq, hsk_write_seq; } gnutls_dtls_prestate_st;
typedef void *session_t;
typedef void *credentials_t;
typedef void *priority_t;

const char *gnutls_check_version(const char *required);
const char *gnutls_strerror(int error);
extern void *(*gnutls_malloc)(size_t);

int gnutls_init(session_t *session, unsigned int flags);
void gnutls_deinit(session_t session);
int gnutls_priority_init(priority_t *priority, const char *text, const char **wrong);
void gnutls_priority_deinit(priority_t priority);
int gnutls_priority_set(session_t session, priority_t priority);
int gnutls_credentials_set(session_t session, int type, credentials_t credentials);
void gnutls_session_set_ptr(session_t session, void *pointer);
void *gnutls_session_get_ptr(session_t session);

int gnutls_psk_allocate_server_credentials(credentials_t *credentials);
void gnutls_psk_free_server_credentials(credentials_t credentials);
void gnutls_psk_set_server_credentials_function2(
    credentials_t credentials, int (*find)(session_t, const gnutls_datum_t *, gnutls_datum_t *));

int gnutls_certificate_allocate_credentials(credentials_t *credentials);
void gnutls_certificate_free_credentials(credentials_t credentials);
int gnutls_certificate_set_x509_key_mem(
    credentials_t credentials, const gnutls_datum_t *chain, const gnutls_datum_t *key, int format);
int gnutls_certificate_set_x509_trust_mem(credentials_t credentials, const gnutls_datum_t *trust, int format);
int gnutls_certificate_set_x509_crl_mem(credentials_t credentials, const gnutls_datum_t *list, int format);
int gnutls_certificate_set_rawpk_key_mem(
    credentials_t credentials, const gnutls_datum_t *spki, const gnutls_datum_t *key, int format,
    const char *password, unsigned int usage, const char **names, unsigned int names_length,
    unsigned int flags);
void gnutls_certificate_set_verify_function(credentials_t credentials, int (*verify)(session_t));
void gnutls_certificate_server_set_request(session_t session, int request);
int gnutls_certificate_type_get2(session_t session, int target);
const gnutls_datum_t *gnutls_certificate_get_peers(session_t session, unsigned int *count);
int gnutls_certificate_verify_peers2(session_t session, unsigned int *status);

void gnutls_transport_set_ptr(session_t session, void *pointer);
void gnutls_transport_set_errno(session_t session, int number);
void gnutls_transport_set_push_function(session_t session, ssize_t (*push)(void *, const void *, size_t));
void gnutls_transport_set_pull_function(session_t session, ssize_t (*pull)(void *, void *, size_t));
void gnutls_transport_set_pull_timeout_function(session_t session, int (*wait)(void *, unsigned int));

void gnutls_dtls_prestate_set(session_t session, gnutls_dtls_prestate_st *state);
void gnutls_dtls_set_timeouts(session_t session, unsigned int again_ms, unsigned int total_ms);
void gnutls_dtls_set_mtu(session_t session, unsigned int mtu);
unsigned int gnutls_dtls_get_timeout(session_t session);
int gnutls_handshake(session_t session);
ssize_t gnutls_record_recv(session_t session, void *data, size_t size);
ssize_t gnutls_record_send(session_t session, const void *data, size_t size);
int gnutls_bye(session_t session, int how);
int gnutls_alert_get(session_t session);
int gnutls_alert_send(session_t session, int level, int description);
int gnutls_error_to_alert(int error, int *level);
int gnutls_cipher_get(session_t session);
const char *gnutls_cipher_get_name(int cipher);
int gnutls_record_get_state(
    session_t session, unsigned int read, gnutls_datum_t *mac_key, gnutls_datum_t *iv,
    gnutls_datum_t *cipher_key, unsigned char sequence[8]);
""")


class LibraryMissing(Exception):
    """libgnutls cannot be used here; the message says what to do."""


class GnutlsError(Exception):
    """A call failed that cannot fail because of what a peer does."""


@cache
def library() -> C:
    """The library, loaded once; raises ``LibraryMissing``."""
    try:
        loaded = ffi.dlopen(SONAME)
    except OSError as error:
        raise LibraryMissing(
            f"{SONAME} is not there ({error}): install it (Debian: apt-get install libgnutls30), "
            "or do without Raw Public Keys"
        ) from error
    if not loaded.gnutls_check_version(b"3.6.13"):
        raise LibraryMissing(
            f"GnuTLS {version(loaded)} is too old: 3.6.13 is the first with all that is needed"
        )
    return loaded


def version(loaded: C) -> str:
    """As the library says it."""
    said: bytes = ffi.string(loaded.gnutls_check_version(ffi.NULL))
    return said.decode()


def text(code: int) -> str:
    """What a negative code means."""
    said: bytes = ffi.string(library().gnutls_strerror(code))
    return said.decode()


def check(code: int) -> int:
    """The value a call returned; raises ``GnutlsError`` for a negative one."""
    if code < 0:
        raise GnutlsError(text(code))
    return code


def datum(data: bytes) -> C:
    """``data`` as the library takes it; what it points to lives as long as what is returned."""
    buffer = ffi.from_buffer(data)
    held = ffi.new("gnutls_datum_t *", {"data": ffi.cast("unsigned char *", buffer), "size": len(data)})
    return ffi.gc(held, lambda _, kept=buffer: None)
