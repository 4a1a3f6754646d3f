/* What libcriu can ask for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* The set's options, as they are. */
static CriuReq request(criu_opts *opts, CriuReqType type)
{
	CriuReq req = CRIU_REQ__INIT;
	req.type = type;
	req.opts = opts ? opts->rpc : NULL;
	return req;
}

/* What an answer that should be to `want` says: 0 or a code as criu.h tells. */
static int verdict(const CriuResp *resp, CriuReqType want)
{
	if (resp->type == CRIU_REQ_TYPE__EMPTY)
		return -EINVAL;
	if (resp->type != want)
		return -EBADMSG;
	if (resp->success)
		return 0;
	errno = resp->has_cr_errno ? resp->cr_errno : 0;
	return -EBADE;
}

/* One request on a connection of its own. *ret may be NULL; it is the caller's only on success. */
static int ask(criu_opts *opts, CriuReq *req, bool apart, CriuResp **ret)
{
	struct connection c;
	CriuResp *resp = NULL;
	if (!opts)
		return -EINVAL;
	int r = connection_open(opts, &c, apart);
	if (r == 0)
		r = connection_ask(opts, &c, req, &resp);
	if (r == 0)
		r = verdict(resp, req->type);
	connection_close(opts, &c);
	if (r == 0 && ret)
		*ret = resp;
	else if (resp)
		criu_resp__free_unpacked(resp, NULL);
	return r;
}

int criu_local_check(criu_opts *opts)
{
	CriuReq req = request(NULL, CRIU_REQ_TYPE__CHECK);
	return ask(opts, &req, false, NULL);
}

int criu_local_dump(criu_opts *opts)
{
	if (!opts)
		return -EINVAL;
	CriuReq req = request(opts, CRIU_REQ_TYPE__DUMP);
	CriuResp *resp = NULL;
	int r = ask(opts, &req, /* apart= */ !opts->rpc->has_pid, &resp);
	if (r)
		return r;
	r = resp->dump && resp->dump->has_restored && resp->dump->restored;
	criu_resp__free_unpacked(resp, NULL);
	return r;
}

int criu_local_pre_dump(criu_opts *opts)
{
	CriuReq req = request(opts, CRIU_REQ_TYPE__SINGLE_PRE_DUMP);
	return ask(opts, &req, opts && !opts->rpc->has_pid, NULL);
}

int criu_local_restore(criu_opts *opts)
{
	CriuReq req = request(opts, CRIU_REQ_TYPE__RESTORE);
	CriuResp *resp = NULL;
	int r = ask(opts, &req, false, &resp);
	if (r)
		return r;
	r = resp->restore ? resp->restore->pid : -EBADMSG;
	criu_resp__free_unpacked(resp, NULL);
	return r;
}

/* Only a worker of ours can make the root our child. */
int criu_local_restore_child(criu_opts *opts)
{
	if (!opts)
		return -EINVAL;
	enum criu_service_comm comm = opts->service_comm;
	char *binary = opts->service_binary;
	opts->rpc->has_rst_sibling = true;
	opts->rpc->rst_sibling = true;
	if (comm != CRIU_COMM_BIN)
		opts->service_binary = NULL;
	opts->service_comm = CRIU_COMM_BIN;
	int r = criu_local_restore(opts);
	opts->service_comm = comm;
	opts->service_binary = binary;
	return r;
}

/* One iteration: 0 for another, 1 when the dump is done, or an error. */
static int iterate(criu_opts *opts, struct connection *c, CriuReqType type)
{
	CriuReq req = request(opts, type);
	CriuResp *resp = NULL;
	int r = connection_ask(opts, c, &req, &resp);
	if (r == 0)
		r = verdict(resp, type);
	if (resp)
		criu_resp__free_unpacked(resp, NULL);
	return r;
}

int criu_local_dump_iters(criu_opts *opts, int (*more)(criu_predump_info pi))
{
	struct connection c;
	if (!opts || !opts->rpc->has_pid || !more)
		return -EINVAL;
	int r = connection_open(opts, &c, false), go_on = 1;
	while (r == 0 && go_on > 0) {
		r = iterate(opts, &c, CRIU_REQ_TYPE__PRE_DUMP);
		go_on = r == 0 ? more(NULL) : -1;
		if (r == 0 && go_on < 0)
			r = go_on;
	}
	if (r == 0)
		r = iterate(opts, &c, CRIU_REQ_TYPE__DUMP);
	connection_close(opts, &c);
	return r;
}

int criu_local_get_version(criu_opts *opts)
{
	CriuReq req = request(NULL, CRIU_REQ_TYPE__VERSION);
	CriuResp *resp = NULL;
	int r = ask(opts, &req, false, &resp);
	if (r)
		return r;
	const CriuVersion *v = resp->version;
	if (!v)
		r = -EBADMSG;
	else
		r = v->major_number * 10000 + v->minor_number * 100 +
		    (v->gitid		      ? 100
			    : v->has_sublevel ? v->sublevel
					      : 0);
	criu_resp__free_unpacked(resp, NULL);
	return r;
}

int criu_local_check_version(criu_opts *opts, int minimum)
{
	int version = criu_local_get_version(opts);
	return version < 0 ? version : version >= minimum;
}

int criu_local_feature_check(criu_opts *opts, struct criu_feature_check *features, size_t size)
{
	CriuFeatures asked = CRIU_FEATURES__INIT;
	struct criu_feature_check all = {0};
	CriuResp *resp = NULL;
	if (!features || size > sizeof(all))
		return -1;
	memcpy(&all, features, size);
	asked.has_mem_track = asked.has_lazy_pages = asked.has_pidfd_store = true;
	asked.mem_track = all.mem_track;
	asked.lazy_pages = all.lazy_pages;
	asked.pidfd_store = all.pidfd_store;
	CriuReq req = request(NULL, CRIU_REQ_TYPE__FEATURE_CHECK);
	req.features = &asked;
	int r = ask(opts, &req, false, &resp);
	if (r)
		return r;
	if (resp->features)
		all = (struct criu_feature_check){.mem_track = resp->features->mem_track,
			.lazy_pages = resp->features->lazy_pages,
			.pidfd_store = resp->features->pidfd_store};
	memcpy(features, &all, size);
	criu_resp__free_unpacked(resp, NULL);
	return 0;
}

int criu_check(void)
{
	return criu_local_check(criu_global_opts);
}

int criu_dump(void)
{
	return criu_local_dump(criu_global_opts);
}

int criu_pre_dump(void)
{
	return criu_local_pre_dump(criu_global_opts);
}

int criu_restore(void)
{
	return criu_local_restore(criu_global_opts);
}

int criu_restore_child(void)
{
	return criu_local_restore_child(criu_global_opts);
}

int criu_dump_iters(int (*more)(criu_predump_info pi))
{
	return criu_local_dump_iters(criu_global_opts, more);
}

int criu_get_version(void)
{
	return criu_local_get_version(criu_global_opts);
}

int criu_check_version(int minimum)
{
	return criu_local_check_version(criu_global_opts, minimum);
}

int criu_feature_check(struct criu_feature_check *features, size_t size)
{
	return criu_local_feature_check(criu_global_opts, features, size);
}
