/* Stages told to the client, each of which it must acknowledge (spec/rpc.md 5). */
#include <errno.h>
#include <unistd.h>

#include "base/session.h"
#include "kernel/proc_status.h"
#include "rpc/rpc.h"

static bool knows_pid(enum hook hook)
{
	return hook == HOOK_SETUP_NAMESPACES || hook == HOOK_POST_RESTORE;
}

/* More files that the client calls external, which it may name now that it sees them stopped. */
static void take_external(struct request *r, const CriuOpts *opts)
{
	for (size_t i = 0; opts && i < opts->n_external; i++)
		*vec_push(&r->s->arena, &r->opt->external) = opts->external[i];
}

/* Whoever is in the tree that is being dumped cannot answer. */
static bool is_stopped_by_us(struct request *r)
{
	struct proc_status status;
	return proc_status_read(r->s, r->worker->peer.pid, &status) >= 0 &&
	       status.tracer == getpid();
}

static int notify(struct notifier *n, struct session *s, enum hook hook, int fd)
{
	struct request *r = (struct request *)n;
	CriuNotify what = CRIU_NOTIFY__INIT;
	CriuResp resp = CRIU_RESP__INIT;
	what.script = (char *)hook_name(hook);
	what.has_pid = knows_pid(hook);
	what.pid = s->root_pid;
	resp.type = CRIU_REQ_TYPE__NOTIFY;
	resp.success = true;
	resp.notify = &what;
	CriuReq *answer;
	if (is_stopped_by_us(r))
		return 0;
	int err = wire_send(s, r->worker->fd, &resp, fd);
	if (err >= 0)
		err = wire_receive(s, r->worker->fd, &answer);
	if (err == -EPIPE)
		return fail(s, ECANCELED, "the client went away at %s", hook_name(hook));
	if (err < 0)
		return err;
	if (answer->type != CRIU_REQ_TYPE__NOTIFY || !answer->notify_success)
		return fail(s, ECANCELED, "the client objects at %s", hook_name(hook));
	if (hook == HOOK_QUERY_EXT_FILES)
		take_external(r, answer->opts);
	return 0;
}

void notify_init(struct request *r)
{
	const CriuOpts *opts = r->req->opts;
	r->notifier.notify = notify;
	if (opts && opts->has_notify_scripts && opts->notify_scripts)
		r->s->notifier = &r->notifier;
}
