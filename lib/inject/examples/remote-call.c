/*
 * remote-call PID getpid | name [NEW]: a system call in another process.
 *
 * `getpid` asks the process for its PID, as it sees it; `name` reads its name by prctl(2), which
 * only tells the process itself, and sets another one.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <fermata/inject.h>

enum { NAME_LEN = 16 };

static int ask_pid(struct fermata_inject *t)
{
	int64_t pid = 0;
	int r = fermata_inject_call(t, SYS_getpid, NULL, &pid);
	if (r >= 0)
		printf("%lld\n", (long long)pid);
	return r;
}

static int set_name(struct fermata_inject *t, const char *name)
{
	char old[NAME_LEN] = "", wanted[NAME_LEN] = "";
	struct fermata_program *p = fermata_program_new(t);
	if (!p)
		err(1, "no memory");
	fermata_step(p, SYS_prctl, fermata_value(PR_GET_NAME), fermata_out(p, old, sizeof(old)));
	if (name) {
		strncpy(wanted, name, sizeof(wanted) - 1);
		fermata_step(p, SYS_prctl, fermata_value(PR_SET_NAME),
			fermata_in(p, wanted, sizeof(wanted)));
	}
	int r = fermata_program_play(p);
	if (r >= 0)
		printf("%s\n", old);
	fermata_program_free(p);
	return r;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		errx(2, "usage: remote-call PID getpid | name [NEW]");
	struct fermata_inject *t = fermata_inject_new();
	if (!t)
		err(1, "no memory");
	int r = fermata_inject_seize(t, atoi(argv[1]));
	if (r >= 0)
		r = strcmp(argv[2], "name") == 0 ? set_name(t, argv[3]) : ask_pid(t);
	if (r < 0)
		errx(1, "%s", fermata_inject_error(t));
	if (fermata_inject_cure(t) < 0)
		errx(1, "%s", fermata_inject_error(t));
	fermata_inject_free(t);
	return 0;
}
