/* Finding functions in BTF, in a small one and in the kernel's; descriptors identified by it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test_proc.h"

#include "kernel/btf.h"
#include "kernel/file_identity.h"

#define INFO(kind, vlen) ((uint32_t)(kind) << 24 | (vlen))

static const char strings[] = "\0int\0wanted_not\0wanted\0other";
enum { INT = 1, WANTED_NOT = 5, WANTED = 16, OTHER = 23 };

/*
 * 1: int, 2: struct of 2 members, 3: a prototype of 1 parameter, 4: other(), 5: wanted(),
 * 6: a union of "wanted_not" at 32 bits, 7: struct wanted of 6 at 64 bits and, by malice, of itself
 */
static const uint32_t types[] = {
	INT,
	INFO(BTF_KIND_INT, 0),
	4,
	32,
	OTHER,
	INFO(BTF_KIND_STRUCT, 2),
	8,
	INT,
	1,
	0,
	INT,
	1,
	32,
	0,
	INFO(BTF_KIND_FUNC_PROTO, 1),
	1,
	INT,
	1,
	OTHER,
	INFO(BTF_KIND_FUNC, 0),
	3,
	WANTED,
	INFO(BTF_KIND_FUNC, 0),
	3,
	0,
	INFO(BTF_KIND_UNION, 1),
	8,
	WANTED_NOT,
	1,
	32,
	WANTED,
	INFO(BTF_KIND_STRUCT, 2),
	16,
	0,
	6,
	64,
	0,
	7,
	0,
};

struct blob {
	struct btf_header h;
	uint32_t types[sizeof(types) / sizeof(*types)];
	char strings[sizeof(strings)];
};

static struct blob make_blob(void)
{
	struct blob b = {.h = {.magic = BTF_MAGIC,
				 .version = BTF_VERSION,
				 .hdr_len = sizeof(b.h),
				 .type_len = sizeof(types),
				 .str_off = sizeof(types),
				 .str_len = sizeof(strings)}};
	memcpy(b.types, types, sizeof(types));
	memcpy(b.strings, strings, sizeof(strings));
	return b;
}

static void test_find(void **state)
{
	(void)state;
	struct blob b = make_blob();
	size_t len = offsetof(struct blob, strings) + sizeof(strings);
	assert_int_equal(btf_find_function(&b, len, "wanted"), 5);
	assert_int_equal(btf_find_function(&b, len, "other"), 4);
	assert_int_equal(btf_find_function(&b, len, "int"), 0);	       /* no function */
	assert_int_equal(btf_find_function(&b, len, "wanted_not"), 0); /* only a string */
	assert_int_equal(btf_find_function(&b, len, "anted"), 0);      /* only a part of one */
	assert_int_equal(btf_find_member(&b, len, "other", "int"), 0);
	assert_int_equal(btf_find_pointer(&b, len, "other", "int"), -1);
	assert_int_equal(btf_find_pointer_to(&b, len, "other", "int", "wanted"), -1);
	assert_int_equal(btf_find_sized(&b, len, "other", "int", 4), 0);
	assert_int_equal(btf_find_sized(&b, len, "other", "int", 8), -1);
	assert_int_equal(btf_find_member(&b, len, "wanted", "wanted_not"), 12);
	assert_int_equal(btf_find_member(&b, len, "wanted", "int"), -1);
	assert_int_equal(btf_find_member(&b, len, "int", "int"), -1);
	b.types[1] = INFO(31, 0);
	assert_int_equal(btf_find_function(&b, len, "wanted"), 0);
}

static const struct kernel_member several[] = {
	{"other", "int"}, {"wanted", "wanted_not"}, {"wanted", "wanted_not"}, {"other", "int"}};
static const struct kernel_member missing[][1] = {
	{{"wanted", "int"}}, {{"int", "int"}}, {{"anted", "wanted_not"}}, {{"", ""}}};

static void test_index(void **state)
{
	(void)state;
	struct blob b = make_blob();
	size_t len = offsetof(struct blob, strings) + sizeof(strings);
	struct btf_index *x = btf_index_make(&b, len);
	uint32_t offset[4] = {77, 77, 77, 77};
	assert_non_null(x);
	assert_true(btf_index_find(x, several, 4, offset));
	assert_int_equal(offset[0], 0);
	assert_int_equal(offset[1], 12);
	assert_int_equal(offset[2], 12);
	assert_int_equal(offset[3], 0);
	for (size_t i = 0; i < sizeof(missing) / sizeof(*missing); i++)
		assert_false(btf_index_find(x, missing[i], 1, offset));
	btf_index_free(x);
	assert_null(btf_index_make(&b, 3));
}

static int parse_btf(struct arena *a, const char *text, size_t len)
{
	uint32_t offset[4];
	struct btf_index *x = btf_index_make(text, len);
	(void)a;
	if (x)
		btf_index_find(x, several, 4, offset);
	btf_index_free(x);
	btf_find_function(text, len, "wanted");
	btf_find_pointer(text, len, "wanted", "wanted_not");
	btf_find_pointer_to(text, len, "wanted", "wanted_not", "other");
	btf_find_sized(text, len, "wanted", "wanted_not", 4);
	return 0;
}

static void test_torture(void **state)
{
	struct session *s = *state;
	struct blob b = make_blob();
	torture(&s->arena, parse_btf, (const char *)&b,
		offsetof(struct blob, strings) + sizeof(strings));
}

static struct file_identity identity_of(const file_identity_vec *all, int fd)
{
	vec_for_each (all, i)
		if (i->fd == (uint64_t)fd)
			return *i;
	return (struct file_identity){0};
}

static void test_identities(void **state)
{
	struct session *s = *state;
	file_identity_vec all = {0};
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int a = open("/", O_RDONLY), b = open("/", O_RDONLY), c = dup(a),
	    d = open("/proc", O_RDONLY);
	assert_true(pidfd >= 0 && a >= 0 && b >= 0 && c >= 0 && d >= 0);
	assert_int_equal(fcntl(b, F_SETSIG, SIGUSR1), 0);
	int r = file_identities_read(&s->arena, pidfd, &all);
	if (r < 0) {
		print_message("the kernel does not tell: %s\n", strerror(-r));
		skip();
	}
	struct file_identity ia = identity_of(&all, a), ib = identity_of(&all, b);
	struct file_identity ic = identity_of(&all, c), id = identity_of(&all, d);
	assert_true(ia.file && ib.file && id.file);
	assert_true(ia.file == ic.file && ia.file != ib.file);
	assert_true(ia.dentry == ib.dentry && ia.mount == ib.mount);
	assert_true(ia.dentry != id.dentry && ia.mount != id.mount);
	assert_true(ib.owner != 0);
	if (ia.owner)
		print_message("the kernel does not tell of owners\n");
	assert_true(identity_of(&all, d + 1).file == 0);
	close(d);
	close(a);
	close(b);
	close(c);
	close(pidfd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_index),
		with_session(test_torture),
		with_session(test_identities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
