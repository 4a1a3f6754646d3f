/*
 * One connection: a request, its answer, and for some kinds the next one.
 *
 * Every request has a session of its own that starts from the worker's options, so nothing is left
 * over from one to the next.  A request that cannot be served is always answered, whatever is
 * missing in it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/session.h"
#include "cli/check.h"
#include "cli/cpuinfo.h"
#include "cli/log.h"
#include "dump/dump.h"
#include "image/dir.h"
#include "restore/restore.h"
#include "rpc/rpc.h"

enum { VERSION_MAJOR = 4, VERSION_MINOR = 2 };

/* Shown by ps: what this worker is busy with. */
static void set_title(struct worker *w, const char *what, pid_t pid)
{
	if (pid)
		snprintf(w->title, sizeof(w->title), "rpc-%s-%d", what, pid);
	else
		snprintf(w->title, sizeof(w->title), "rpc-%s", what);
	prctl(PR_SET_NAME, w->title);
}

/* What every request about images needs; the client may leave it out. */
static int begin(struct request *r, enum action action)
{
	if (!r->req->opts)
		return fail(r->s, EBADRQC, "the request has no options");
	int err = request_apply(r, action);
	if (err >= 0)
		notify_init(r);
	return err;
}

/* A client may be in the tree that it has dumped: its connection is told by this end of it. */
static int know_own_socket(struct request *r)
{
	struct stat st;
	if (fstat(r->worker->fd, &st) < 0)
		return fail(r->s, errno, "examine the connection to the client");
	r->s->client_socket = st.st_ino;
	return 0;
}

static int serve_dump(struct request *r)
{
	static CriuDumpResp answer;
	criu_dump_resp__init(&answer);
	answer.has_restored = true;
	r->resp->dump = &answer;
	int err = begin(r, ACTION_DUMP);
	if (err < 0)
		return err;
	set_title(r->worker, "dump", r->opt->tree);
	err = know_own_socket(r);
	return err < 0 ? err : dump_run(r->s);
}

static int serve_restore(struct request *r)
{
	CriuRestoreResp *answer = arena_new(&r->s->arena, CriuRestoreResp);
	criu_restore_resp__init(answer);
	answer->pid = -1;
	r->resp->restore = answer;
	int err = begin(r, ACTION_RESTORE);
	set_title(r->worker, "restore", 0);
	if (err >= 0)
		err = restore_run(r->s);
	if (err >= 0)
		answer->pid = r->s->root_pid;
	return err;
}

static int serve_check(struct request *r)
{
	return check_mandatory(r->s);
}

static int serve_features(struct request *r)
{
	const CriuFeatures *asked = r->req->features;
	if (!asked)
		return fail(r->s, EINVAL, "the request names no features");
	CriuFeatures *f = arena_new(&r->s->arena, CriuFeatures);
	criu_features__init(f);
	f->has_mem_track = f->has_lazy_pages = f->has_pidfd_store = true;
	f->mem_track = asked->mem_track && check_has("mem_dirty_track");
	f->lazy_pages = asked->lazy_pages && check_has("uffd-noncoop");
	f->pidfd_store = asked->pidfd_store && check_has("pidfd_store");
	r->resp->features = f;
	return 0;
}

static int serve_version(struct request *r)
{
	CriuVersion *v = arena_new(&r->s->arena, CriuVersion);
	criu_version__init(v);
	v->major_number = VERSION_MAJOR;
	v->minor_number = VERSION_MINOR;
	r->resp->version = v;
	return 0;
}

static int serve_wait(struct request *r)
{
	int status;
	if (!r->req->has_pid || waitpid((pid_t)r->req->pid, &status, 0) < 0)
		return fail(r->s, r->req->has_pid ? errno : EINVAL, "wait for pid %u", r->req->pid);
	r->resp->has_status = true;
	r->resp->status = status;
	return 0;
}

static int serve_cpuinfo_dump(struct request *r)
{
	int err = begin(r, ACTION_CPUINFO_DUMP);
	return err < 0 ? err : cpuinfo_dump(r->s);
}

static int serve_cpuinfo_check(struct request *r)
{
	int err = begin(r, ACTION_CPUINFO_CHECK);
	return err < 0 ? err : cpuinfo_check(r->s);
}

static int serve_later(struct request *r)
{
	const ProtobufCEnumValue *v =
		protobuf_c_enum_descriptor_get_value(&criu_req_type__descriptor, (int)r->req->type);
	return fail(r->s, EOPNOTSUPP, "%s requests are not served yet", v->name);
}

static const struct handler {
	CriuReqType type;
	bool may_keep_open;
	int (*serve)(struct request *r);
	const char *failed; /* last line of the log */
} handlers[] = {
	{CRIU_REQ_TYPE__DUMP, false, serve_dump, "Dumping FAILED."},
	{CRIU_REQ_TYPE__RESTORE, false, serve_restore, "Restoring FAILED."},
	{CRIU_REQ_TYPE__CHECK, false, serve_check, NULL},
	{CRIU_REQ_TYPE__FEATURE_CHECK, true, serve_features, NULL},
	{CRIU_REQ_TYPE__VERSION, true, serve_version, NULL},
	{CRIU_REQ_TYPE__WAIT_PID, false, serve_wait, NULL},
	{CRIU_REQ_TYPE__PRE_DUMP, false, serve_later, NULL},
	{CRIU_REQ_TYPE__SINGLE_PRE_DUMP, false, serve_later, NULL},
	{CRIU_REQ_TYPE__PAGE_SERVER, true, serve_later, NULL},
	{CRIU_REQ_TYPE__PAGE_SERVER_CHLD, true, serve_later, NULL},
	{CRIU_REQ_TYPE__CPUINFO_DUMP, true, serve_cpuinfo_dump, NULL},
	{CRIU_REQ_TYPE__CPUINFO_CHECK, true, serve_cpuinfo_check, NULL},
};

static const struct handler *find_handler(const CriuReq *req)
{
	for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++)
		if (handlers[i].type == req->type)
			return &handlers[i];
	return NULL;
}

/* Only these mean something to clients. */
static int wire_errno(const struct request *r, int err)
{
	if (err == -EBADRQC || (err == -ESRCH && r->req->type == CRIU_REQ_TYPE__DUMP) ||
		(err == -EEXIST && r->req->type == CRIU_REQ_TYPE__RESTORE))
		return -err;
	return 0;
}

static int answer(struct request *r, int err)
{
	CriuResp *resp = r->resp;
	resp->success = err >= 0;
	if (err < 0) {
		resp->cr_errno = wire_errno(r, err);
		resp->has_cr_errno = resp->cr_errno != 0;
		resp->cr_errmsg = (char *)(uintptr_t)failure_line(r->s, err);
	}
	return wire_send(r->s, r->worker->fd, resp, -1);
}

/* exec_cmd: the tree is restored, and the worker becomes what the client wants beside it. */
static void run_command(const struct request *r)
{
	const CriuOpts *o = r->req->opts;
	char **argv = arena_array(&r->s->arena, char *, o->n_exec_cmd + 1);
	memcpy(argv, o->exec_cmd, o->n_exec_cmd * sizeof(*argv));
	if (dup2(r->s->log.fd, STDOUT_FILENO) >= 0 && dup2(r->s->log.fd, STDERR_FILENO) >= 0)
		execvp(argv[0], argv);
	log_warn(r->s, "running %s failed: %s", argv[0], strerror(errno));
	_exit(127);
}

static int finish(struct request *r, const struct handler *h, int err)
{
	if (err < 0)
		report_failure(r->s, err, h ? h->failed : NULL);
	else if (r->opt->display_stats)
		print_stats(r->s);
	int sent = answer(r, err);
	if (err >= 0 && sent == -EPIPE)
		return 0; /* the client is gone; if it was in a tree that it had dumped, by that */
	if (err >= 0 && sent >= 0 && r->req->type == CRIU_REQ_TYPE__RESTORE &&
		r->req->opts->n_exec_cmd)
		run_command(r);
	return err < 0 ? err : sent;
}

/* One request of the worker's. *ret_more: the connection stays for another. */
static int serve(struct worker *w, struct session *s, struct options *opt, bool *ret_more)
{
	CriuReq *req;
	CriuResp resp = CRIU_RESP__INIT;
	w->status_of_failure = 255;
	int err = wire_receive(s, w->fd, &req);
	if (err == -EPIPE)
		return 0;
	CriuReq empty = CRIU_REQ__INIT;
	struct request r = {
		.worker = w, .req = err < 0 ? &empty : req, .resp = &resp, .s = s, .opt = opt};
	if (err < 0)
		return finish(&r, NULL, err);
	const struct handler *h = find_handler(req);
	if (h)
		resp.type = req->type;
	if (h && h->failed)
		w->status_of_failure = 1;
	if (req->has_keep_open && req->keep_open && h && !h->may_keep_open)
		return fail(s, EINVAL, "a request that cannot keep the connection open");
	err = h ? h->serve(&r) : fail(s, EINVAL, "a request of type %d", (int)req->type);
	*ret_more = err >= 0 && req->has_keep_open && req->keep_open;
	return finish(&r, h, err);
}

int worker_run(struct worker *w)
{
	bool more;
	int err;
	do {
		struct session s;
		struct options opt = w->options;
		session_init(&s);
		s.log.places = w->places;
		s.opt = &opt;
		more = false;
		err = serve(w, &s, &opt, &more);
		image_dir_close(s.images);
		session_release(&s);
	} while (more && err >= 0);
	return err >= 0 ? 0 : w->status_of_failure;
}
