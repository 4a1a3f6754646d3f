/*
 * The program's own file was removed while it runs.
 * PROVES: F017 F093
 */
#include "check.h"

static const char data[300000] = "part of a mapped file";

int main(int argc, char **argv)
{
	char buf[512], cmd[700];
	ssize_t n;

	setup(argc, argv);
	if (!exists("copy made")) {
		snprintf(cmd, sizeof(cmd), "cp %s %s", argv[0], in_dir("copy"));
		NEED(!system(cmd));
		say("copy made", "");
		execl(in_dir("copy"), "copy", dir, NULL);
		bad("exec");
	}
	NEED(!unlink(in_dir("copy")));
	park();
	n = readlink("/proc/self/exe", buf, sizeof(buf) - 1);
	NEED(n > 0);
	buf[n] = 0;
	NEED(strstr(buf, "/copy (deleted)") && !strstr(buf, "(deleted) (deleted)"));
	NEED(!strcmp(data, "part of a mapped file"));
	for (size_t i = strlen(data); i < sizeof(data); i++)
		NEED(!data[i]);
	NEED(!exists("copy"));
	ok();
}
