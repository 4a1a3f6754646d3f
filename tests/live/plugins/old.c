/* A plugin of before version 0.2: functions of fixed names. Takes /dev/cpu_dma_latency, without state. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int cr_plugin_init(int stage);
void cr_plugin_fini(int stage, int ret);
int cr_plugin_dump_file(int fd, int id);
int cr_plugin_restore_file(int id);

static void called(const char *what, int number)
{
	FILE *f = fopen(getenv("SAMPLE_LOG"), "a");
	fprintf(f, "old %s %d\n", what, number);
	fclose(f);
}

int cr_plugin_init(int stage)
{
	called("init", stage);
	return 0;
}

void cr_plugin_fini(int stage, int ret)
{
	called(ret ? "failed" : "fini", stage);
}

int cr_plugin_dump_file(int fd, int id)
{
	struct stat st;
	called("dump", id);
	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) ? 0 : -ENOTSUP;
}

int cr_plugin_restore_file(int id)
{
	called("restore", id);
	return open("/dev/cpu_dma_latency", O_RDWR);
}
