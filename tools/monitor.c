// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The one who stays with a domain: reaps it when it has shut down, starts it
 * again when it reboots.  A process of its own for each domain, like xl's, and
 * a program start of its own, so that one whose monitor was killed gets
 * another the same way.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "domain.h"

#define WATCHING	"watching\n"
#define DUMP_DIR	"/var/lib/xen/dump"

struct monitor {
	struct xl xl;
	uint32_t domid;
	char *name;
	int lock;
	libxl_evgen_domain_death *death;
};

static void say(const char *format, ...) PRINTF(1, 2);

static void say(const char *format, ...)
{
	char when[32];
	time_t now = time(NULL);
	struct tm tm;
	va_list args;

	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S",
		 localtime_r(&now, &tm));
	printf("%s ", when);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static void lock_name(unsigned int domid, char out[32])
{
	snprintf(out, 32, "monitor-%u", domid);
}

/* Held as long as the monitor lives; -1 if somebody has it, or on failure. */
static int take_lock(unsigned int domid)
{
	char name[32];

	lock_name(domid, name);
	return run_file_take(name, true);
}

void monitor_forget(int lock)
{
	run_file_drop(lock);
}

static void drop_lock(struct monitor *m)
{
	monitor_forget(m->lock);
	m->lock = -1;
}

int monitor_start(unsigned int domid)
{
	char number[16];
	const char *argv[] = { "/proc/self/exe", "monitor", number, NULL };
	char *said;
	bool watches;

	snprintf(number, sizeof(number), "%u", domid);
	said = program_start(argv);
	watches = said && !strcmp(said, WATCHING);
	free(said);
	return watches ? DONE : fail("no monitor for domain %u", domid);
}

int monitor_expect(unsigned int domid, int *lock_out)
{
	*lock_out = take_lock(domid);
	return *lock_out < 0 ? fail("no monitor for domain %u: %m", domid) :
			       DONE;
}

int monitor_adopt(unsigned int domid, const char *name)
{
	if (!monitor_is_lost(domid))
		return DONE;
	fail("%s: its monitor was lost; starting another one", name);
	return monitor_start(domid);
}

bool monitor_is_lost(unsigned int domid)
{
	char name[32];
	int fd;

	lock_name(domid, name);
	/* If there is none it is somebody else's affair, xl's for instance. */
	fd = run_file_take(name, false);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int watch(struct monitor *m)
{
	int r = libxl_evenable_domain_death(m->xl.ctx, m->domid, 0, &m->death);

	if (r)
		say("%s: cannot watch it (libxl %d)", m->name, r);
	return r;
}

static void unwatch(struct monitor *m)
{
	if (m->death)
		libxl_evdisable_domain_death(m->xl.ctx, m->death);
	m->death = NULL;
}

static libxl_action_on_shutdown action_for(const libxl_domain_config *config,
					   int reason)
{
	switch (reason) {
	case LIBXL_SHUTDOWN_REASON_POWEROFF:
		return config->on_poweroff;
	case LIBXL_SHUTDOWN_REASON_REBOOT:
		return config->on_reboot;
	case LIBXL_SHUTDOWN_REASON_CRASH:
		return config->on_crash;
	case LIBXL_SHUTDOWN_REASON_WATCHDOG:
		return config->on_watchdog;
	}
	return LIBXL_ACTION_ON_SHUTDOWN_DESTROY;
}

static void dump_core(struct monitor *m)
{
	char *path;

	mkdir(DUMP_DIR, 0700);
	if (asprintf(&path, DUMP_DIR "/%s", m->name) < 0)
		return;
	say("%s: core dump to %s: %s", m->name, path,
	    libxl_domain_core_dump(m->xl.ctx, m->domid, path, NULL) ?
	    "failed" : "done");
	free(path);
}

static int destroy(struct monitor *m)
{
	int r = libxl_domain_destroy(m->xl.ctx, m->domid, NULL);

	if (r)
		say("%s: cannot destroy it (libxl %d); run `xl destroy %u`",
		    m->name, r, m->domid);
	return r;
}

/* Under a new domid; the disks are detached and attached in between. */
static int start_again(struct monitor *m, libxl_domain_config *config)
{
	uint32_t domid;
	int r;

	/* One that arrived by migration had its domid chosen; once is enough. */
	config->c_info.domid = INVALID_DOMID;
	r = libxl_domain_create_new(m->xl.ctx, config, &domid, NULL, NULL);
	if (r) {
		say("%s: cannot start it again (libxl %d); run `xlrbd create %s`",
		    m->name, r, m->name);
		return r;
	}
	m->domid = domid;
	m->lock = take_lock(domid);
	r = watch(m);
	if (!r)
		r = libxl_domain_unpause(m->xl.ctx, domid, NULL);
	say("%s: started again as domain %u", m->name, domid);
	return r;
}

/* 0 to go on. */
static int act(struct monitor *m, libxl_action_on_shutdown action,
	       libxl_domain_config *config)
{
	int r;

	if (action == LIBXL_ACTION_ON_SHUTDOWN_COREDUMP_DESTROY ||
	    action == LIBXL_ACTION_ON_SHUTDOWN_COREDUMP_RESTART)
		dump_core(m);
	switch (action) {
	case LIBXL_ACTION_ON_SHUTDOWN_RESTART:
	case LIBXL_ACTION_ON_SHUTDOWN_COREDUMP_RESTART:
		unwatch(m);
		r = destroy(m);
		drop_lock(m);
		return r ? r : start_again(m, config);
	case LIBXL_ACTION_ON_SHUTDOWN_PRESERVE:
	case LIBXL_ACTION_ON_SHUTDOWN_RESTART_RENAME:
	case LIBXL_ACTION_ON_SHUTDOWN_SOFT_RESET:
		/* A kept domain keeps its disks, so no other can start. */
		say("%s: kept as it is; `xl destroy %u` when it is not needed",
		    m->name, m->domid);
		return 1;
	default:
		destroy(m);
		return 1;
	}
}

/*
 * Migrated or saved: whoever does that destroys the domain, or lets it go on,
 * and then its next end must be heard of, while libxl tells of one only (xen:
 * libxl_domain.c, shutdown_reported).  No event says that it goes on.
 */
static int wait_resumed(struct monitor *m)
{
	const struct timespec second = { .tv_sec = 1 };
	libxl_dominfo info;
	bool suspended;
	int r;

	do {
		nanosleep(&second, NULL);
		libxl_dominfo_init(&info);
		r = libxl_domain_info(m->xl.ctx, &info, m->domid);
		suspended = info.shutdown && info.shutdown_reason ==
					     LIBXL_SHUTDOWN_REASON_SUSPEND;
		libxl_dominfo_dispose(&info);
	} while (!r && suspended);
	if (r)
		return 1;
	say("%s: domain %u goes on after a suspend", m->name, m->domid);
	unwatch(m);
	return watch(m);
}

static int on_shutdown(struct monitor *m, int reason)
{
	libxl_domain_config config;
	int r;

	if (reason == LIBXL_SHUTDOWN_REASON_SUSPEND)
		return wait_resumed(m);
	libxl_domain_config_init(&config);
	r = libxl_retrieve_domain_configuration(m->xl.ctx, m->domid, &config,
						NULL);
	if (r) {
		say("%s: cannot find its configuration (libxl %d)", m->name,
		    r);
		destroy(m);
	} else {
		say("%s: domain %u has shut down: %s", m->name, m->domid,
		    libxl_shutdown_reason_to_string(reason));
		r = act(m, action_for(&config, reason), &config);
	}
	libxl_domain_config_dispose(&config);
	return r;
}

static void stay(struct monitor *m)
{
	libxl_event *event;
	int r, rc = 0;

	while (!rc) {
		r = libxl_event_wait(m->xl.ctx, &event, LIBXL_EVENTMASK_ALL,
				     0, 0);
		if (r) {
			say("%s: no more events (libxl %d)", m->name, r);
			break;
		}
		if (event->domid == m->domid &&
		    event->type == LIBXL_EVENT_TYPE_DOMAIN_DEATH)
			rc = 1;
		else if (event->domid == m->domid &&
			 event->type == LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN)
			rc = on_shutdown(m, event->u.domain_shutdown
					    .shutdown_reason);
		libxl_event_free(m->xl.ctx, event);
	}
}

/* Away from the terminal; what it says goes to a log beside those of xl. */
static void become_daemon(const char *name)
{
	char path[300];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), log;

	snprintf(path, sizeof(path), "/var/log/xen/xlrbd-%s.log", name);
	mkdir("/var/log/xen", 0755);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	dup2(null, STDIN_FILENO);
	dup2(log < 0 ? null : log, STDOUT_FILENO);
	dup2(log < 0 ? null : log, STDERR_FILENO);
	setsid();
	if (chdir("/") < 0)
		say("chdir: %m");
}

int cmd_monitor(struct session *s, int argc, char **argv)
{
	struct monitor m = { .domid = strtoul(argv[0], NULL, 10) };
	int rc;

	(void)s;
	(void)argc;
	rc = xl_open(&m.xl);
	if (rc)
		return rc;
	m.name = libxl_domid_to_name(m.xl.ctx, m.domid);
	m.lock = m.name ? take_lock(m.domid) : -1;
	if (!m.name)
		rc = fail("no domain %s", argv[0]);
	else if (m.lock < 0)
		rc = fail("domain %u has a monitor", m.domid);
	else if (watch(&m))
		rc = FAILED;
	if (!rc) {
		fputs(WATCHING, stdout);
		fflush(stdout);
		/* With the end of our stdout, whoever started us goes on. */
		become_daemon(m.name);
		say("%s: watching domain %u", m.name, m.domid);
		stay(&m);
		unwatch(&m);
		drop_lock(&m);
	}
	free(m.name);
	xl_close(&m.xl);
	return rc;
}
