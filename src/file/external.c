/*
 * The keys of --external and --inherit-fd, and their look-up.
 *
 * Keys are compared as text, so the numbers in them must be written as we write them: hex without
 * 0x for files and terminals, decimal for inodes of sockets and pipes.  What cannot match is
 * refused at the start, as is what the engine does not know yet: an object that the user called
 * external must not be dumped as if he had not.  A key that matches nothing is no error: callers
 * such as container runtimes name all they have.
 */
#include "file/external.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/restoring.h"

static const char hex[] = "0123456789abcdef", decimal[] = "0123456789";

/* What stands between the brackets: one or two numbers, or anything (digits NULL). */
static const struct external_type {
	const char *name;
	const char *digits;
	bool two;	/* "a:b" */
	bool has_value; /* "]:VALUE" may follow */
	bool built;
} types[] = {
	{"file", hex, .two = true, .built = true},
	{"tty", hex, .two = true, .built = true},
	{"unix", decimal, .built = true},
	{"mnt", .has_value = true},
	{"dev", .has_value = true},
	{"net", .has_value = true},
	{"pid", .has_value = true},
	{"veth", .has_value = true},
	{"macvlan", .has_value = true},
	{"netdev", .has_value = true},
};

static const struct external_type *type_of(const char *key)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		size_t len = strlen(types[i].name);
		if (strncmp(key, types[i].name, len) == 0 && key[len] == '[')
			return &types[i];
	}
	return NULL;
}

/* "12]" or "12:34]" */
static bool id_is_sane(const struct external_type *type, const char *id)
{
	size_t n = strspn(id, type->digits);
	if (type->two && n && id[n] == ':') {
		id += n + 1;
		n = strspn(id, type->digits);
	} else if (type->two) {
		return false;
	}
	return n && strcmp(id + n, "]") == 0;
}

static int check_key(struct session *s, const char *key)
{
	const struct external_type *type = type_of(key);
	if (!type)
		return fail(s, EINVAL,
			"--external %s: it is none of file[mnt:ino], tty[rdev:dev], unix[ino]",
			key);
	if (!type->built)
		return fail(s, EOPNOTSUPP, "--external %s: external %s[] is not built yet", key,
			type->name);
	if (type->digits && !id_is_sane(type, key + strlen(type->name) + 1))
		return fail(s, EINVAL, "--external %s: %s takes %s", key, type->name,
			type->two ? "two hexadecimal numbers: [a:b]" : "a decimal number: [n]");
	return 0;
}

int external_check(struct session *s)
{
	int r = 0;
	for (size_t i = 0; i < s->opt->external.n && r >= 0; i++)
		r = check_key(s, s->opt->external.v[i]);
	return r;
}

bool external_find(const struct options *opt, const char **ret_value, const char *fmt, ...)
{
	char wanted[128];
	if (!opt->external.n)
		return false;
	va_list args;
	va_start(args, fmt);
	vsnprintf(wanted, sizeof(wanted), fmt, args);
	va_end(args);
	size_t len = strlen(wanted);
	for (size_t i = opt->external.n; i--;) {
		const char *key = opt->external.v[i];
		if (strncmp(key, wanted, len) != 0 || (key[len] && key[len] != ':'))
			continue;
		if (ret_value)
			*ret_value = key[len] ? key + len + 1 : "";
		return true;
	}
	return false;
}

/* --- restore --- */

int inherit_load(struct file_set *f)
{
	const struct strings *given = &f->s->opt->inherit_fd;
	for (size_t i = 0; i < given->n; i++) {
		char *end;
		int fd = (int)strtol(given->v[i] + strlen("fd["), &end, 10);
		const char *key = end + strlen("]:");
		int flags = fcntl(fd, F_GETFD);
		if (flags < 0)
			return fail(f->s, errno, "--inherit-fd %s: descriptor %d", given->v[i], fd);
		if (!*key)
			return fail(f->s, EINVAL, "--inherit-fd %s: it names no file", given->v[i]);
		vec_for_each (&f->inherited, other)
			if (strcmp(other->key, key) == 0)
				return fail(f->s, EINVAL,
					"--inherit-fd %s: descriptor %d was given for it already",
					given->v[i], other->fd);
		if (fd > STDERR_FILENO) /* it is for the tasks, not for --exec-cmd */
			fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
		*vec_push(&f->s->arena, &f->inherited) = (struct inherited){.fd = fd, .key = key};
	}
	return 0;
}

int inherit_find(struct file_set *f, const char *key)
{
	vec_for_each (&f->inherited, i)
		if (strcmp(i->key, key) == 0) {
			i->used = true;
			return i->fd;
		}
	return -1;
}

void inherit_warn_unused(struct file_set *f)
{
	vec_for_each (&f->inherited, i)
		if (!i->used)
			log_warn(f->s,
				"--inherit-fd fd[%d]:%s: nothing in the images has this name",
				i->fd, i->key);
}

int inherit_dup(struct file_set *f, const struct open_file *o, int *ret_fd)
{
	*ret_fd = fcntl(o->inherited, F_DUPFD_CLOEXEC, 0);
	return *ret_fd < 0 ? fail(f->s, errno, "%s: keep our descriptor %d", open_file_label(f, o),
				     o->inherited)
			   : 0;
}

int inherit_reopen(struct file_set *f, const struct open_file *o, int from, int flags, int *ret_fd)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", from);
	flags &= ~(O_CREAT | O_EXCL | O_TRUNC | O_ASYNC | O_NOFOLLOW);
	*ret_fd = open(path, flags | O_NOCTTY | O_CLOEXEC);
	if (*ret_fd < 0 && errno == ENXIO)
		*ret_fd = fcntl(from, F_DUPFD_CLOEXEC, 0);
	return *ret_fd < 0 ? fail(f->s, errno, "%s: open our descriptor %d again",
				     open_file_label(f, o), from)
			   : 0;
}
