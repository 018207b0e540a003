// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * block-rbd - the hotplug script of disks that are RBD images
 *
 * xl runs it for disk = ['script=block-rbd,vdev=xvda,target=rbd:web1'].  All
 * that happens here is environment to library call to exit code.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "block-rbd.h"
#include "libxlrbd.h"

/*
 * Past every deadline of the library, and before libxl's 40 s, after which it
 * kills without asking for a reason.
 */
#define WATCHDOG_S	(XLRBD_TIMEOUT_MAX + 3)

static const char usage[] =
"usage: block-rbd add|remove\n"
"       block-rbd gc [--id ID] [--conf PATH | --cluster NAME] [POOL[/NAMESPACE]]...\n"
"       block-rbd takeover [--yes] TARGET...\n"
"\n"
"add and remove are for xl(1), whose hotplug script this is.  In a domain's\n"
"configuration:\n"
"\n"
"	disk = ['script=block-rbd,vdev=xvda,target=POOL:IMAGE']\n"
"\n"
"xl tells it the disk by XENBUS_PATH in the environment.  gc cleans up what this\n"
"host has left behind, in the locks of POOL (rbd) and of its own disks.  takeover\n"
"takes images from a host that is dead, and cuts it off for good.\n"
"See block-rbd(8).\n";

static const struct command {
	const char *name;
	int (*run)(struct xlrbd_ctx *ctx, const char *path);
} commands[] = {
	{ "add", xlrbd_vbd_add },
	{ "remove", xlrbd_vbd_remove },
};

static const struct admin_command {
	const char *name;
	int (*run)(int argc, char **argv);
} admin_commands[] = {
	{ "gc", run_gc },
	{ "takeover", run_takeover },
};

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

void log_to_syslog(void *data, int level, const char *message)
{
	(void)data;
	syslog(level, "%s", message);
}

/* Runs in a thread of its own, while the main one is stuck somewhere. */
static void give_up(union sigval value)
{
	static const char message[] =
		"gave up: a call that should have ended did not; the cluster may be unreachable, see dmesg and `ceph -s`";
	const char *path = value.sival_ptr;
	struct xlrbd_ctx *ctx;

	syslog(LOG_ERR, "%s: %s", path, message);
	if (xlrbd_new(&ctx) == 0)
		xlrbd_vbd_report(ctx, path, message);
	_exit(EXIT_FAILURE);
}

static void start_watchdog(char *path)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD,
		.sigev_notify_function = give_up,
		.sigev_value.sival_ptr = path,
	};
	struct itimerspec when = { .it_value.tv_sec = WATCHDOG_S };
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
	    timer_settime(timer, 0, &when, NULL) < 0)
		syslog(LOG_WARNING, "no watchdog: %m");
}

/*
 * Ctrl-C at `xl create` reaches us too.  Dying of it would leave a lock and a
 * mapping behind; we are done soon anyway.
 */
static void ignore_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGPIPE, SIGTERM };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_IGN);
	/* Whoever ignores it has its children's exit codes lost, and ours. */
	signal(SIGCHLD, SIG_DFL);
}

static int run(const struct command *command, char *path)
{
	struct xlrbd_ctx *ctx;
	int rc;

	if (xlrbd_new(&ctx) < 0) {
		fprintf(stderr, "block-rbd: out of memory\n");
		return EXIT_FAILURE;
	}
	xlrbd_set_log(ctx, LOG_INFO, log_to_syslog, NULL);
	/* xl waits for this process to end, so that must not take long. */
	xlrbd_set_final(ctx);
	rc = command->run(ctx, path);
	if (rc < 0) {
		syslog(LOG_ERR, "%s %s: %s", command->name, path,
		       xlrbd_error(ctx));
		/*
		 * libxl prints hotplug-error after a failed add.  It drops
		 * what remove says, so that goes to xl's own log.
		 */
		if (command->run != xlrbd_vbd_add ||
		    xlrbd_vbd_report(ctx, path, xlrbd_error(ctx)) < 0)
			fprintf(stderr, "block-rbd: %s %s: %s\n",
				command->name, path, xlrbd_error(ctx));
	}
	xlrbd_free(ctx);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_admin(const struct admin_command *command, int argc,
		     char **argv)
{
	int status;

	openlog("block-rbd", LOG_PID, LOG_DAEMON);
	status = command->run(argc, argv);
	if (status == EXIT_USAGE)
		fputs(usage, stderr);
	return status;
}

int main(int argc, char **argv)
{
	char *path = getenv("XENBUS_PATH");
	size_t i;

	if (argc == 2 && !strcmp(argv[1], "--version")) {
		printf("block-rbd %s\n", xlrbd_version());
		return EXIT_SUCCESS;
	}
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	for (i = 0; argc >= 2 && i < ARRAY_SIZE(admin_commands); i++)
		if (!strcmp(argv[1], admin_commands[i].name))
			return run_admin(&admin_commands[i], argc - 1,
					 argv + 1);
	for (i = 0; argc == 2 && i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		if (!path) {
			fprintf(stderr, "block-rbd: XENBUS_PATH is not set: this is run by xl, see block-rbd(8)\n");
			return EXIT_USAGE;
		}
		openlog("block-rbd", LOG_PID, LOG_DAEMON);
		ignore_signals();
		start_watchdog(path);
		_exit(run(&commands[i], path));
	}
	fputs(usage, stderr);
	return EXIT_USAGE;
}
