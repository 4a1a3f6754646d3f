/* What the parts of libcriu share. */
#ifndef LIBCRIU_INTERNAL_H
#define LIBCRIU_INTERNAL_H

#include <criu/criu.h>
#include <sys/types.h>

/* All strings, and whatever rpc points to, come from malloc(). */
struct criu_opts {
	CriuOpts *rpc;
	int (*notify)(char *action, criu_notify_arg_t na);
	enum criu_service_comm service_comm;
	char *service_address; /* NULL: the default of the transport */
	char *service_binary;
	int service_fd;
};

/* The set that functions without one work on; NULL before criu_init_opts(). */
extern criu_opts *criu_global_opts;

/* Declared nowhere, but exported by the original too. */
extern const char *criu_lib_version;
void criu_free_service(criu_opts *opts);

/* connect.c */
struct connection {
	int fd;
	pid_t worker; /* started for this connection; 0 = none */
};

/* apart: the worker must not be a descendant of this process. Returns 0 or -ECONNREFUSED. */
int connection_open(criu_opts *opts, struct connection *c, bool apart);
void connection_close(criu_opts *opts, struct connection *c);

/*
 * Sends req and waits for the answer to it, answering notifications in between. *ret is the
 * caller's, to be freed by criu_resp__free_unpacked(). Returns 0, -ECOMM, or the callback's value.
 */
int connection_ask(criu_opts *opts, struct connection *c, CriuReq *req, CriuResp **ret);

#endif
