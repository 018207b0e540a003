// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd - domains whose disks live in Ceph, from any host
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "xlrbd.h"

static const struct command commands[] = {
	{ "list", "", "domains of this host, or of the cluster",
	  OPT_CLUSTER_WIDE | OPT_DEFINED, 0, 0, cmd_list },
	{ "where", "DOMAIN", "the host that runs a domain", 0, 1, 1,
	  cmd_where },
	{ "create", "DOMAIN|FILE", "start a domain here",
	  OPT_PAUSED | OPT_CONSOLE, 1, 1, cmd_create },
	{ "boot", "DOMAIN|FILE", "the same", OPT_PAUSED | OPT_CONSOLE, 1, 1,
	  cmd_create },
	{ "shutdown", "DOMAIN", "ask a domain to shut down",
	  OPT_WAIT | OPT_DESTROY_AFTER | OPT_TIMEOUT | OPT_HERE, 1, 1,
	  cmd_shutdown },
	{ "reboot", "DOMAIN", "ask it to reboot", OPT_HERE, 1, 1, cmd_reboot },
	{ "destroy", "DOMAIN", "end it at once", OPT_TIMEOUT | OPT_HERE, 1, 1,
	  cmd_destroy },
	{ "pause", "DOMAIN", "stop its processors", OPT_HERE, 1, 1,
	  cmd_pause },
	{ "unpause", "DOMAIN", "let them go on", OPT_HERE, 1, 1, cmd_unpause },
	{ "migrate", "DOMAIN HOST", "move a domain to another host",
	  OPT_COLD | OPT_DRY_RUN | OPT_TIMEOUT | OPT_HERE, 2, 2,
	  cmd_migrate },
	{ "evacuate", "[HOST...]", "move all of this host's domains away",
	  OPT_JOBS | OPT_DRY_RUN | OPT_TIMEOUT, 0, -1, cmd_evacuate },
	{ "define", "FILE", "keep a domain's xl.cfg in the pool", OPT_FORCE,
	  1, 1, cmd_define },
	{ "undefine", "DOMAIN", "forget it", 0, 1, 1, cmd_undefine },
	{ "show", "DOMAIN", "what is kept of a domain", 0, 1, 1, cmd_show },
	{ "locks", "[IMAGE...]", "who holds images, and how", 0, 0, -1,
	  cmd_locks },
	{ "unlock", "IMAGE ENTRY", "withdraw an entry that nobody needs", 0,
	  2, 2, cmd_unlock },
	{ "takeover", "DOMAIN...", "take domains' disks from a dead host",
	  OPT_YES | OPT_DRY_RUN, 1, -1, cmd_takeover },
	{ "gc", "[POOL[/NAMESPACE]...]",
	  "clean up what this host has left behind", 0, 0, -1, cmd_gc },
	{ "check", "", "what is wrong with this installation", 0, 0, 0,
	  cmd_check },
	{ "monitor", "DOMID", "reap and restart a domain", OPT_INTERNAL, 1, 1,
	  cmd_monitor },
	{ "receive", "", "the other end of migrate", OPT_INTERNAL, 0, 0,
	  cmd_receive },
	{ "arrived", "DOMAIN UUID ID", "what became of a migration",
	  OPT_INTERNAL, 3, 3, cmd_arrived },
};

enum { OPTION_FIRST = 256, OPTION_ID, OPTION_CONF, OPTION_CEPH_CLUSTER,
       OPTION_COLD, OPTION_JOBS, OPTION_HELP };

/* Of a command if it takes that bit; bit 0 is for all. */
static const struct {
	const char *name;
	const char *argument;
	int letter;
	unsigned int bit;
	const char *summary;
} options[] = {
	{ "cluster", NULL, 'c', OPT_CLUSTER_WIDE, "of every host" },
	{ "defined", NULL, 'd', OPT_DEFINED, "those that are defined" },
	{ "force", NULL, 'f', OPT_FORCE, "whatever version is there" },
	{ "yes", NULL, 'y', OPT_YES, "do not ask" },
	{ "dry-run", NULL, 'n', OPT_DRY_RUN, "only say what would be done" },
	{ "paused", NULL, 'P', OPT_PAUSED, "do not let it run yet" },
	{ "console", NULL, 'C', OPT_CONSOLE, "go on at its console" },
	{ "wait", NULL, 'w', OPT_WAIT, "until its disks are released" },
	{ "destroy-after", NULL, 'D', OPT_DESTROY_AFTER,
	  "wait, then destroy it" },
	{ "cold", NULL, OPTION_COLD, OPT_COLD,
	  "shut it down here, start it there" },
	{ "jobs", "NUMBER", OPTION_JOBS, OPT_JOBS, "at a time (2)" },
	{ "timeout", "SECONDS", 't', OPT_TIMEOUT, "to wait (300; when moving, 60)" },
	{ "here", NULL, 'H', OPT_HERE, "on no other host" },
	{ "json", NULL, 'j', 0, "for programs" },
	{ "pool", "POOL[/NAMESPACE]", 'p', 0, "where definitions are" },
	{ "id", "ID", OPTION_ID, 0, "cephx user without \"client.\"" },
	{ "conf", "FILE", OPTION_CONF, 0, "ceph.conf" },
	{ "ceph-cluster", "NAME", OPTION_CEPH_CLUSTER, 0,
	  "/etc/ceph/NAME.conf" },
	{ "help", NULL, OPTION_HELP, 0, "this" },
};

static char failure[2048];
static bool keep;
/* evacuate moves several at a time. */
static pthread_mutex_t failing = PTHREAD_MUTEX_INITIALIZER;

int fail(const char *format, ...)
{
	char text[sizeof(failure)];
	va_list args;

	/* The last one may be part of it. */
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	pthread_mutex_lock(&failing);
	memcpy(failure, text, sizeof(failure));
	if (!keep) {
		fflush(stdout);
		fprintf(stderr, "xlrbd: %s\n", failure);
	}
	pthread_mutex_unlock(&failing);
	return FAILED;
}

void keep_failures(void)
{
	keep = true;
}

void tell_failures(void)
{
	keep = false;
}

const char *last_failure(void)
{
	return failure;
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pause_a_moment(void)
{
	const struct timespec moment = { .tv_nsec = 250 * 1000000 };

	nanosleep(&moment, NULL);
}

int fail_ctx(const struct session *s)
{
	return fail("%s", xlrbd_error(s->ctx));
}

static void print_overview(FILE *out)
{
	size_t i;

	fputs("usage: xlrbd COMMAND [OPTION...] [ARGUMENT...]\n\n", out);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!(commands[i].options & OPT_INTERNAL))
			fprintf(out, "  %-9s %-22s %s\n",
				commands[i].name, commands[i].arguments,
				commands[i].summary);
	fputs("\n`xlrbd COMMAND --help` tells its options; see also xlrbd(8).\n",
	      out);
}

static void print_usage(FILE *out, const struct command *command)
{
	char text[64];
	size_t i;

	fprintf(out, "usage: xlrbd %s [OPTION...] %s\n%s\n\n", command->name,
		command->arguments, command->summary);
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].bit && !(options[i].bit & command->options))
			continue;
		snprintf(text, sizeof(text), "--%s%s%s", options[i].name,
			 options[i].argument ? " " : "",
			 options[i].argument ? options[i].argument : "");
		if (options[i].letter < OPTION_FIRST)
			fprintf(out, "  -%c, %-26s %s\n", options[i].letter,
				text, options[i].summary);
		else
			fprintf(out, "      %-26s %s\n", text,
				options[i].summary);
	}
}

static int set_text_option(char **to)
{
	free(*to);
	*to = strdup(optarg);
	return *to ? DONE : fail("out of memory");
}

static int set_pool(struct session *s)
{
	char *slash;
	int rc = set_text_option(&s->where.pool);

	slash = rc ? NULL : strchr(s->where.pool, '/');
	if (!slash)
		return rc;
	*slash = '\0';
	free(s->where.ns);
	s->where.ns = strdup(slash + 1);
	return s->where.ns ? DONE : fail("out of memory");
}

static int set_number(const char *option, unsigned long max,
		      unsigned int *to)
{
	char *end;
	unsigned long number = strtoul(optarg, &end, 10);

	if (*end || end == optarg || !number || number > max) {
		fail("--%s takes a number, 1 to %lu: \"%s\"", option, max,
		     optarg);
		return USAGE;
	}
	*to = number;
	return DONE;
}

static int take_option(struct session *s, const struct command *command,
		       int letter)
{
	size_t i;

	switch (letter) {
	case 'j':
		s->json = true;
		return DONE;
	case 'p':
		return set_pool(s);
	case OPTION_ID:
		return set_text_option(&s->where.id);
	case OPTION_CONF:
		return set_text_option(&s->where.conf);
	case OPTION_CEPH_CLUSTER:
		return set_text_option(&s->where.cluster);
	}
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].letter != letter)
			continue;
		if (options[i].bit & command->options) {
			s->given |= options[i].bit;
			if (options[i].bit == OPT_TIMEOUT)
				return set_number("timeout", 3600, &s->wait_s);
			if (options[i].bit == OPT_JOBS)
				return set_number("jobs", 64, &s->jobs);
			return DONE;
		}
		fail("%s takes no --%s", command->name, options[i].name);
	}
	return USAGE;
}

/* What getopt_long() wants, of the table above. */
static void make_options(char *letters, struct option *longs)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		longs[i] = (struct option){
			options[i].name,
			options[i].argument ? required_argument : no_argument,
			NULL, options[i].letter
		};
		if (options[i].letter >= OPTION_FIRST)
			continue;
		*letters++ = options[i].letter;
		if (options[i].argument)
			*letters++ = ':';
	}
	*letters = '\0';
	memset(&longs[i], 0, sizeof(longs[i]));
}

static int run(struct session *s, const struct command *command, int argc,
	       char **argv)
{
	struct option longs[ARRAY_SIZE(options) + 1];
	char letters[2 * ARRAY_SIZE(options) + 1];
	int rc = DONE, letter;

	make_options(letters, longs);
	while (!rc && (letter = getopt_long(argc, argv, letters, longs,
					    NULL)) != -1) {
		if (letter == OPTION_HELP) {
			print_usage(stdout, command);
			return finish_output();
		}
		rc = take_option(s, command, letter);
	}
	argc -= optind;
	argv += optind;
	if (rc == DONE && (argc < command->min ||
			   (command->max >= 0 && argc > command->max)))
		rc = USAGE;
	if (rc == USAGE)
		print_usage(stderr, command);
	if (rc)
		return rc;
	if (xlrbd_spec_set_defaults(s->ctx, &s->where) < 0)
		return fail_ctx(s);
	rc = command->run(s, argc, argv);
	return finish_output() == DONE ? rc : FAILED;
}

int spec_of(struct session *s, const char *target, struct xlrbd_spec *spec_out)
{
	struct {
		char *from, **to;
	} members[] = {
		{ s->where.id, &spec_out->id },
		{ s->where.conf, &spec_out->conf },
		{ s->where.cluster, &spec_out->cluster },
	};
	size_t i;

	if (xlrbd_spec_parse(s->ctx, target, spec_out) < 0)
		return fail_ctx(s);
	for (i = 0; i < ARRAY_SIZE(members); i++) {
		if (!members[i].from || *members[i].to)
			continue;
		*members[i].to = strdup(members[i].from);
		if (!*members[i].to)
			return fail("out of memory");
	}
	if (!spec_out->timeout_s)
		spec_out->timeout_s = s->where.timeout_s;
	return xlrbd_spec_set_defaults(s->ctx, spec_out) < 0 ? fail_ctx(s) :
							       DONE;
}

static void log_to_syslog(void *data, int level, const char *message)
{
	(void)data;
	syslog(level, "%s", message);
	if (level <= LOG_WARNING)
		fprintf(stderr, "xlrbd: %s\n", message);
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct command *command;
	struct session s = { .ctx = NULL };
	int rc;

	setlocale(LC_CTYPE, "");
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		printf("xlrbd %s\n", xlrbd_version());
		return finish_output();
	}
	if (argc == 2 && (!strcmp(argv[1], "--help") ||
			  !strcmp(argv[1], "help"))) {
		print_overview(stdout);
		return finish_output();
	}
	command = argc > 1 ? find_command(argv[1]) : NULL;
	if (!command) {
		if (argc > 1)
			fail("no command \"%s\"", argv[1]);
		print_overview(stderr);
		return USAGE;
	}
	if (xlrbd_new(&s.ctx) < 0)
		return fail("out of memory");
	openlog("xlrbd", LOG_PID, LOG_DAEMON);
	xlrbd_set_log(s.ctx, LOG_INFO, log_to_syslog, NULL);
	s.argc = argc - 1;
	s.argv = argv + 1;
	rc = run(&s, command, s.argc, s.argv);
	xlrbd_spec_dispose(&s.where);
	xlrbd_free(s.ctx);
	return rc;
}
