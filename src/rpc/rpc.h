/*
 * Requests from other programs (spec/rpc.md): one packet of a sequenced socket is one criu_req,
 * answered by one criu_resp, with notifications in between.
 */
#ifndef FERMATA_RPC_RPC_H
#define FERMATA_RPC_RPC_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "cli/hook.h"
#include "cli/options.h"
#include "rpc.pb-c.h"

struct session;

/* The verbs. service only returns on failure; swrk when its client is done. */
int service_run(struct session *s);
int swrk_run(struct session *s);

/* Whoever is at the other end of a connection. */
struct worker {
	int fd;
	bool swrk;		/* started by the client itself, with its rights */
	struct ucred peer;	/* who connected */
	struct options options; /* what requests start from */
	bool places; /* lines of the log tell where in the sources they are from: base/session.h */
	char title[16];
	int status_of_failure; /* what it exits with if the request fails: spec/cli.md 2 */
};

/* worker.c: serves requests until the client is done. Returns the exit status. */
int worker_run(struct worker *w);

/* A request being worked on. */
struct request {
	struct notifier notifier; /* first: found again from it */
	struct worker *worker;
	const CriuReq *req;
	CriuResp *resp;
	struct session *s;
	struct options *opt; /* of the session */
};

/*
 * request_options.c: sets r->opt from the request's opts and opens images, work directory and log
 * in the order of spec/rpc.md 4. 0 or negative errno with the failure recorded.
 */
int request_apply(struct request *r, enum action action);
/* Its first part: sets r->opt and opens nothing but a configuration file. */
int request_parse(struct request *r, enum action action);

/* notify.c: asks the client at each stage, if it wants that. */
void notify_init(struct request *r);

/* wire.c: packets of any size; -EPIPE without a failure when the peer is gone. */
int wire_receive(struct session *s, int fd, CriuReq **ret);
int wire_send(struct session *s, int fd, const CriuResp *resp, int pass_fd);

#endif
