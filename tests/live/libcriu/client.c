/*
 * A user of libcriu: `client BINARY ADDRESS DIR`. Dumps and restores a child of its own in every
 * way the library can reach the tool; prints "OK" or what was wrong.
 */
#define _GNU_SOURCE
#include <criu/criu.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEED(cond)                                                                   \
	do {                                                                         \
		if (!(cond)) {                                                       \
			printf("line %d: %s (errno %d)\n", __LINE__, #cond, errno);  \
			exit(1);                                                     \
		}                                                                    \
	} while (0)

static char heard[1024];
static int restored_pid, objections;

static int hear(char *action, criu_notify_arg_t na)
{
	strcat(strcat(heard, action), " ");
	if (criu_notify_pid(na))
		restored_pid = criu_notify_pid(na);
	return objections ? -77 : 0;
}

static pid_t start_child(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		close(null);
		setsid();
		for (;;)
			pause();
	}
	usleep(50000);
	return pid;
}

static int open_dir(const char *base, const char *name)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", base, name);
	mkdir(path, 0755);
	return open(path, O_DIRECTORY | O_CLOEXEC);
}

static void need_killed(pid_t pid)
{
	int status;
	NEED(waitpid(pid, &status, 0) == pid);
	NEED(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	strcpy(addr.sun_path, path);
	NEED(!connect(fd, (struct sockaddr *)&addr,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))));
	return fd;
}

static void by_binary(const char *binary, const char *base)
{
	int dir = open_dir(base, "global");
	pid_t pid = start_child();
	NEED(criu_init_opts() == 0);
	NEED(criu_set_service_binary(binary) == 0);
	NEED(criu_get_version() == 40200);
	NEED(criu_check_version(40200) == 1 && criu_check_version(40300) == 0);
	NEED(criu_check() == 0);
	struct criu_feature_check f = {.mem_track = true};
	NEED(criu_feature_check(&f, sizeof(f)) == 0 && !f.pidfd_store && !f.lazy_pages);
	NEED(criu_feature_check(&f, sizeof(f) + 1) == -1 && criu_feature_check(NULL, 1) == -1);

	criu_set_images_dir_fd(dir);
	criu_set_pid(99999999);
	NEED(criu_dump() == -EBADE && errno == ESRCH);
	criu_set_pid(pid);
	NEED(criu_set_log_file("a/b") == 0 && criu_dump() == -EBADE && errno == EBADRQC);
	NEED(criu_set_log_file("lib.log") == 0);
	criu_set_log_level(CRIU_LOG_DEBUG);
	criu_set_notify_cb(hear);
	objections = 1;
	NEED(criu_dump() == -77);
	objections = 0;
	NEED(kill(pid, 0) == 0);
	heard[0] = 0;
	NEED(criu_dump() == 0);
	need_killed(pid);
	NEED(!strcmp(heard, "pre-dump query-ext-files post-dump "));
	NEED(faccessat(dir, "lib.log", R_OK, 0) == 0);

	/* As our child: we can wait for it. */
	NEED(criu_restore_child() == pid && restored_pid == pid);
	NEED(kill(pid, SIGKILL) == 0);
	need_killed(pid);
	NEED(criu_get_orphan_pts_master_fd() == -1);
	criu_free_opts();
	close(dir);
}

/* Echoes on a terminal of its own, whose master we have. */
static pid_t start_on_terminal(int *ret_master)
{
	*ret_master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	NEED(*ret_master >= 0 && !grantpt(*ret_master) && !unlockpt(*ret_master));
	pid_t pid = fork();
	if (pid == 0) {
		setsid();
		int slave = open(ptsname(*ret_master), O_RDWR);
		for (int fd = 0; fd < 3; fd++)
			dup2(slave, fd);
		close(slave);
		execlp("cat", "cat", (char *)NULL);
	}
	return pid;
}

static void need_answer(int master, const char *line)
{
	char screen[256] = "";
	NEED(write(master, line, strlen(line)) == (ssize_t)strlen(line));
	for (size_t n = 0; n < 2 * (strlen(line) + 1);) { /* its echo, and what cat says */
		ssize_t more = read(master, screen + n, sizeof(screen) - 1 - n);
		NEED(more > 0);
		n += (size_t)more;
	}
	NEED(!strncmp(screen, line, strlen(line) - 1));
}

/* The master of the restored terminal comes with a notification. */
static void on_terminal(const char *binary, const char *base)
{
	int dir = open_dir(base, "terminal"), master, status;
	pid_t pid = start_on_terminal(&master);
	need_answer(master, "before\n");
	NEED(criu_init_opts() == 0 && criu_set_service_binary(binary) == 0);
	criu_set_images_dir_fd(dir);
	criu_set_pid(pid);
	criu_set_orphan_pts_master(true);
	criu_set_notify_cb(hear);
	NEED(criu_dump() == 0);
	need_killed(pid);
	close(master);
	heard[0] = 0;
	NEED(criu_restore_child() == pid);
	NEED(!strcmp(heard, "pre-restore orphan-pts-master post-restore pre-resume post-resume "));
	NEED((master = criu_get_orphan_pts_master_fd()) >= 0);
	need_answer(master, "after\n");
	NEED(write(master, "\3", 1) == 1);
	NEED(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	close(master);
	criu_free_opts();
	close(dir);
}

static void by_socket(const char *address, const char *base)
{
	criu_opts *one = NULL, *two = NULL;
	int dirs[2] = {open_dir(base, "one"), open_dir(base, "two")};
	pid_t pids[2] = {start_child(), start_child()};
	NEED(criu_local_init_opts(&one) == 0 && criu_local_init_opts(&two) == 0);
	NEED(criu_local_set_service_address(one, address) == 0);
	criu_local_set_service_fd(two, connect_to(address));
	criu_local_set_images_dir_fd(one, dirs[0]);
	criu_local_set_images_dir_fd(two, dirs[1]);
	criu_local_set_pid(one, pids[0]);
	criu_local_set_pid(two, pids[1]);
	criu_local_set_leave_running(two, true);
	NEED(criu_local_add_inherit_fd(one, 0, "x") == -1);
	NEED(criu_local_dump(one) == 0);
	need_killed(pids[0]);
	NEED(criu_local_dump(two) == 0);
	NEED(kill(pids[1], 0) == 0);
	NEED(criu_local_dump(two) == -ECONNREFUSED); /* the descriptor was used up */
	NEED(criu_local_restore(one) == pids[0]);
	kill(pids[0], SIGKILL);
	kill(pids[1], SIGKILL);
	criu_local_free_opts(one);
	criu_local_free_opts(two);
}

/* Everything that can be set, to strings of any size: must neither overrun nor leak. */
static void set_everything(void)
{
	static char text[100000];
	criu_opts *o = NULL;
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 2; i++) {
		NEED(criu_local_init_opts(&o) == 0);
		for (int j = 0; j < 3; j++) {
			NEED(!criu_local_set_root(o, text) && !criu_local_set_log_file(o, text));
			NEED(!criu_local_set_parent_images(o, text));
			NEED(!criu_local_set_lsm_profile(o, text));
			NEED(!criu_local_add_external(o, text) && !criu_local_add_skip_mnt(o, text));
			NEED(!criu_local_add_ext_mount(o, text, text));
			NEED(!criu_local_add_veth_pair(o, text, text));
			NEED(!criu_local_add_cg_root(o, NULL, text));
			NEED(!criu_local_add_unix_sk(o, 7) && !criu_local_add_inherit_fd(o, 3, text));
			NEED(!criu_local_join_ns_add(o, "net", text, NULL));
			NEED(criu_local_join_ns_add(o, NULL, text, NULL) == -1);
			NEED(!criu_local_set_page_server_address_port(o, text, 5));
			NEED(!criu_local_set_exec_cmd(o, 1, (char *[]){text}));
			NEED(!criu_local_set_network_lock(o, CRIU_NETWORK_LOCK_SKIP));
			NEED(criu_local_set_network_lock(o, 9) == -1);
		}
		NEED(!criu_local_set_service_binary(o, text));
		NEED(!criu_local_set_service_address(o, text));
	}
	NEED(criu_local_dump(o) == -ECONNREFUSED);
	criu_local_free_opts(o);
	criu_local_free_opts(NULL);
}

int main(int argc, char **argv)
{
	NEED(argc == 4);
	set_everything();
	by_binary(argv[1], argv[3]);
	on_terminal(argv[1], argv[3]);
	by_socket(argv[2], argv[3]);
	puts("OK");
	return 0;
}
