/*
 * From a request's criu_opts to struct options, through the words of the command line.
 *
 * Each option of the option table names its field of criu_opts; what has no field cannot be asked
 * for.  Fields that mean more than one word are written out below.  A config_file comes last and
 * may say the same as a command line, but in a service nothing that reaches into the service.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/session.h"
#include "cli/log.h"
#include "cli/option_table.h"
#include "cli/parser.h"
#include "image/dir.h"
#include "rpc/rpc.h"

typedef VEC(const char *) word_list;

struct words {
	struct arena *arena;
	word_list list;
};

static void word(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void word(struct words *w, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	*vec_push(w->arena, &w->list) = arena_vprintf(w->arena, fmt, ap);
	va_end(ap);
}

static void add_flag(struct words *w, const struct option_def *def, bool value)
{
	if (value)
		word(w, "--%s", def->name);
	else if (def->flags & OPT_NEGATABLE)
		word(w, "--no-%s", def->name);
}

static void add_scalar(struct words *w, const struct option_def *def,
	const ProtobufCFieldDescriptor *f, const void *at)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BOOL:
		add_flag(w, def, *(const protobuf_c_boolean *)at);
		break;
	case PROTOBUF_C_TYPE_STRING:
		word(w, "--%s=%s", def->name, *(char *const *)at);
		break;
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_INT32:
		word(w, "--%s=%d", def->name, *(const int32_t *)at);
		break;
	default:
		word(w, "--%s=%u", def->name, *(const uint32_t *)at);
	}
}

/* Whatever the table says about this option and the request has. */
static void add_option(struct words *w, const struct option_def *def, const CriuOpts *opts)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(&criu_opts__descriptor, def->rpc);
	const char *base = (const char *)opts;
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		char *const *texts = *(char *const *const *)(base + f->offset);
		for (size_t i = 0; i < *(const size_t *)(base + f->quantifier_offset); i++)
			word(w, "--%s=%s", def->name, texts[i]);
	} else if (f->type == PROTOBUF_C_TYPE_STRING) {
		if (*(char *const *)(base + f->offset))
			add_scalar(w, def, f, base + f->offset);
	} else if (*(const protobuf_c_boolean *)(base + f->quantifier_offset)) {
		add_scalar(w, def, f, base + f->offset);
	}
}

/* Enumerations, whose numbers are the protocol's own. */
static const char *const cgroup_modes[] = {
	"ignore", "none", "props", "soft", "full", "strict", "soft"};
static const char *const network_locks[] = {NULL, "iptables", "nftables", "skip"};
static const char *const pre_dump_modes[] = {NULL, "splice", "read"};

#define add_choice(w, name, table, value) \
	add_choice_of((w), (name), (table), sizeof(table) / sizeof(*(table)), (value))

static int add_choice_of(
	struct words *w, const char *name, const char *const *table, size_t n, int value)
{
	if (value < 0 || (size_t)value >= n || !table[value])
		return -EINVAL;
	word(w, "--%s=%s", name, table[value]);
	return 0;
}

static int add_choices(struct words *w, const CriuOpts *o)
{
	int err = 0;
	if (o->has_manage_cgroups_mode)
		err = add_choice(w, "manage-cgroups", cgroup_modes, (int)o->manage_cgroups_mode);
	else if (o->has_manage_cgroups)
		word(w, "--manage-cgroups=%s", o->manage_cgroups ? "soft" : "ignore");
	if (!err && o->has_network_lock)
		err = add_choice(w, "network-lock", network_locks, (int)o->network_lock);
	if (!err && o->has_pre_dump_mode)
		err = add_choice(w, "pre-dump-mode", pre_dump_modes, (int)o->pre_dump_mode);
	return err;
}

/* Fields whose values are messages. */
static void add_messages(struct words *w, const CriuOpts *o)
{
	for (size_t i = 0; i < o->n_veths; i++)
		word(w, "--external=veth[%s]:%s", o->veths[i]->if_in, o->veths[i]->if_out);
	for (size_t i = 0; i < o->n_ext_mnt; i++)
		word(w, "--external=mnt[%s]:%s", o->ext_mnt[i]->key, o->ext_mnt[i]->val);
	for (size_t i = 0; i < o->n_cg_root; i++)
		word(w, "--cgroup-root=%s%s%s", o->cg_root[i]->ctrl ? o->cg_root[i]->ctrl : "",
			o->cg_root[i]->ctrl ? ":" : "", o->cg_root[i]->path);
	for (size_t i = 0; i < o->n_inherit_fd; i++)
		word(w, "--inherit-fd=fd[%d]:%s", o->inherit_fd[i]->fd, o->inherit_fd[i]->key);
	for (size_t i = 0; i < o->n_join_ns; i++)
		word(w, "--join-ns=%s:%s%s%s", o->join_ns[i]->ns, o->join_ns[i]->ns_file,
			o->join_ns[i]->extra_opt ? "," : "",
			o->join_ns[i]->extra_opt ? o->join_ns[i]->extra_opt : "");
	for (size_t i = 0; o->has_ext_unix_sk && i < o->n_unix_sk_ino; i++)
		word(w, "--external=unix[%u]", o->unix_sk_ino[i]->inode);
}

static void add_page_server(struct words *w, const CriuOpts *o)
{
	if (!o->ps)
		return;
	if (o->ps->has_port && o->ps->port)
		word(w, "--port=%u", (unsigned)o->ps->port & 0xffff);
	if (o->has_lazy_pages && o->lazy_pages)
		return;
	word(w, "--page-server");
	if (o->ps->address)
		word(w, "--address=%s", o->ps->address);
	if (o->ps->has_fd)
		word(w, "--ps-socket=%d", o->ps->fd);
}

static int add_special(struct words *w, const CriuOpts *o)
{
	int err = add_choices(w, o);
	if (err)
		return err;
	add_messages(w, o);
	add_page_server(w, o);
	word(w, "--verbosity=%d", o->has_log_level ? o->log_level : 2);
	if (o->has_cpu_cap)
		word(w, "--cpu-cap=none%s%s%s", o->cpu_cap & CPU_CAP_FPU ? ",fpu" : "",
			o->cpu_cap & CPU_CAP_CPU ? ",cpu" : "",
			o->cpu_cap & CPU_CAP_INS ? ",ins" : "");
	if (o->has_auto_ext_mnt && o->auto_ext_mnt)
		word(w, "--external=mnt[]%s%s", o->has_ext_sharing && o->ext_sharing ? ":s" : "",
			o->has_ext_masters && o->ext_masters ? ":m" : "");
	if (o->has_empty_ns && o->empty_ns)
		word(w, "--empty-ns=%s", o->empty_ns == CLONE_NEWNET ? "net" : "?");
	return 0;
}

/* Anything wrong with options has this code on the wire. */
static int bad_options(struct request *r, const char *why)
{
	return fail(r->s, EBADRQC, "%s", why);
}

static int parse_words(struct request *r, struct parser *p)
{
	const CriuOpts *o = r->req->opts;
	struct words w = {.arena = &r->s->arena};
	for (size_t i = 0; i < n_options; i++)
		if (option_table[i].rpc)
			add_option(&w, &option_table[i], o);
	if (add_special(&w, o) < 0)
		return bad_options(r, "unknown value of an enumeration in the options");
	if (parse_args(p, (int)w.list.n, w.list.v))
		return bad_options(r, p->error);
	if (o->log_file && strchr(o->log_file, '/'))
		return bad_options(r, "the log file must be a plain name");
	return 0;
}

/* What the service itself holds is none of its clients' business. */
static int refuse_reaching(struct request *r)
{
	const struct options *o = r->opt;
	if (r->worker->swrk)
		return 0;
	if (o->inherit_fd.n || o->ps_socket >= 0 || o->status_fd >= 0)
		return bad_options(
			r, "descriptors can only be named to a worker of one's own (swrk)");
	if (option_given(o, "libdir")) /* they run in this process, which has a capability of its own */
		return bad_options(
			r, "libdir: plugins can only be named to a worker of one's own (swrk)");
	if (o->restore_sibling)
		return bad_options(r, "rst_sibling needs a worker of one's own (swrk)");
	return 0;
}

/* A descriptor of the client, by its number there. */
static int open_of_client(struct request *r, int number, int flags, const char *what)
{
	const char *path =
		arena_printf(&r->s->arena, "/proc/%d/fd/%d", r->worker->peer.pid, number);
	int fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? fail(r->s, errno, "the client's %s, %s", what, path) : fd;
}

static int open_images(struct request *r, const char *from_config)
{
	const CriuOpts *o = r->req->opts;
	if (from_config)
		return image_dir_open(r->s, from_config, &r->s->images);
	if (o->images_dir_fd >= 0) {
		int fd = open_of_client(r, o->images_dir_fd, O_DIRECTORY, "directory of images");
		return fd < 0 ? fd : image_dir_from_fd(r->s, fd, &r->s->images);
	}
	if (!o->images_dir)
		return bad_options(r, "no directory of images given");
	return image_dir_open(r->s, o->images_dir, &r->s->images);
}

/* Afterwards the work directory is the current one. */
static int enter_work_dir(struct request *r, const char *from_config, const char *earlier)
{
	const CriuOpts *o = r->req->opts;
	const char *path = from_config ? from_config : earlier;
	if (!from_config && o->has_work_dir_fd) {
		_cleanup_close_ int fd =
			open_of_client(r, o->work_dir_fd, O_DIRECTORY, "work directory");
		if (fd < 0)
			return fd;
		return fchdir(fd) ? fail(r->s, errno, "enter the work directory") : 0;
	}
	if (path)
		return chdir(path) ? fail(r->s, errno, "work directory %s", path) : 0;
	return fchdir(r->s->images->fd) ? fail(r->s, errno, "enter the directory of images") : 0;
}

static const char *log_file(const struct request *r, const char *from_config, const char *earlier)
{
	const CriuOpts *o = r->req->opts;
	if (from_config)
		return from_config;
	if (o->log_file)
		return o->log_file;
	if (o->has_log_to_stderr && o->log_to_stderr)
		return NULL;
	return earlier ? earlier : "criu.log";
}

static pid_t wanted_pid(const struct request *r)
{
	const CriuOpts *o = r->req->opts;
	return o->has_pid ? (pid_t)o->pid : r->worker->peer.pid;
}

int request_parse(struct request *r, enum action action)
{
	struct options *opt = r->opt;
	struct parser p = {.arena = &r->s->arena, .opt = opt};
	opt->log_file = opt->work_dir = opt->images_dir = NULL;
	opt->action = action;
	int err = parse_words(r, &p);
	if (err < 0)
		return err;
	if (r->req->opts->config_file && parse_config_file(&p, r->req->opts->config_file))
		return bad_options(r, p.error);
	opt->tree = wanted_pid(r);
	opt->detach = true;
	opt->orphan_pts_master = r->req->opts->orphan_pts_master;
	if (check_options(&p))
		return bad_options(r, p.error);
	return refuse_reaching(r);
}

int request_apply(struct request *r, enum action action)
{
	struct options *opt = r->opt;
	const char *earlier_log = opt->log_file, *earlier_work = opt->work_dir;
	int err = request_parse(r, action);
	if (err >= 0)
		err = open_images(r, opt->images_dir);
	if (err >= 0)
		err = enter_work_dir(r, opt->work_dir, earlier_work);
	if (err < 0)
		return err;
	opt->log_file = log_file(r, opt->log_file, earlier_log);
	err = log_open(r->s);
	if (err >= 0)
		log_start(r->s);
	return err;
}
