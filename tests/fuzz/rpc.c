/*
 * Any packet as a request: unpacked, and its options applied as for each kind of request, by a
 * worker of the service and by one of the client's own.  What the options name is not opened.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "rpc/rpc.h"

static void apply(struct session *s, const CriuReq *req, enum action action, bool swrk)
{
	struct options opt;
	options_init(&opt);
	s->opt = &opt;
	struct worker w = {.fd = -1, .swrk = swrk};
	struct request r = {.worker = &w, .req = req, .s = s, .opt = &opt};
	s->failure = (struct failure){0};
	int err = request_parse(&r, action);
	MUST(err >= 0 || s->failure.message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum action actions[] = {
		ACTION_DUMP, ACTION_RESTORE, ACTION_PRE_DUMP, ACTION_CPUINFO_CHECK};
	struct session s;
	int pair[2];
	CriuReq *req;
	/* Longer packets than these do not fit through the socket. */
	if (size > 100000 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	_cleanup_close_ int ours = pair[0], theirs = pair[1];
	MUST(send(theirs, data, size, 0) == (ssize_t)size);
	fuzz_session(&s);
	if (wire_receive(&s, ours, &req) >= 0 && req->opts && !req->opts->config_file)
		for (size_t i = 0; i < 2 * sizeof(actions) / sizeof(*actions); i++)
			apply(&s, req, actions[i / 2], i % 2);
	session_release(&s);
	return 0;
}
