/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the commands of xlrbd share, grouped by file.
 */
#ifndef XLRBD_TOOL_H
#define XLRBD_TOOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libxlrbd-cluster.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define CHECKED		__attribute__((warn_unused_result))
#define PRINTF(f, a)	__attribute__((format(printf, f, a)))

/* What a command comes back with, and xlrbd exits with. */
enum { DONE = 0, FAILED = 1, USAGE = 2 };

/* xlrbd.c: what was asked for */

/* Options, as a command says which it takes. */
enum {
	OPT_CLUSTER_WIDE = 1 << 1,	/* --cluster */
	OPT_DEFINED	= 1 << 2,	/* --defined */
	OPT_FORCE	= 1 << 3,	/* --force */
	OPT_YES		= 1 << 4,	/* --yes */
	OPT_DRY_RUN	= 1 << 5,	/* --dry-run */
	OPT_PAUSED	= 1 << 6,	/* --paused */
	OPT_CONSOLE	= 1 << 7,	/* --console */
	OPT_WAIT	= 1 << 8,	/* --wait */
	OPT_DESTROY_AFTER = 1 << 9,	/* --destroy-after */
	OPT_TIMEOUT	= 1 << 10,	/* --timeout */
	OPT_HERE	= 1 << 11,	/* --here */
	OPT_COLD	= 1 << 12,	/* --cold */
	OPT_JOBS	= 1 << 13,	/* --jobs */

	OPT_INTERNAL	= 1 << 14,	/* other commands run it, not people */
};

struct session {
	struct xlrbd_ctx *ctx;
	int argc;		/* the command and what it was given */
	char **argv;
	unsigned int given;	/* OPT_... */
	bool json;
	unsigned int wait_s;	/* --timeout; 0: not given */
	unsigned int jobs;	/* --jobs; 0: not given */
	const char *to;		/* where a domain is to go */
	/* --pool, --id, --conf, --ceph-cluster, and xlrbd.conf */
	struct xlrbd_spec where;
};

struct command {
	const char *name;
	const char *arguments;	/* "NAME..." */
	const char *summary;
	unsigned int options;	/* OPT_... */
	int min, max;		/* arguments; max < 0: any number */
	int (*run)(struct session *s, int argc, char **argv);
};

int cmd_arrived(struct session *s, int argc, char **argv);
int cmd_check(struct session *s, int argc, char **argv);
int cmd_create(struct session *s, int argc, char **argv);
int cmd_define(struct session *s, int argc, char **argv);
int cmd_destroy(struct session *s, int argc, char **argv);
int cmd_evacuate(struct session *s, int argc, char **argv);
int cmd_gc(struct session *s, int argc, char **argv);
int cmd_list(struct session *s, int argc, char **argv);
int cmd_locks(struct session *s, int argc, char **argv);
int cmd_migrate(struct session *s, int argc, char **argv);
int cmd_monitor(struct session *s, int argc, char **argv);
int cmd_pause(struct session *s, int argc, char **argv);
int cmd_reboot(struct session *s, int argc, char **argv);
int cmd_receive(struct session *s, int argc, char **argv);
int cmd_show(struct session *s, int argc, char **argv);
int cmd_shutdown(struct session *s, int argc, char **argv);
int cmd_takeover(struct session *s, int argc, char **argv);
int cmd_undefine(struct session *s, int argc, char **argv);
int cmd_unlock(struct session *s, int argc, char **argv);
int cmd_unpause(struct session *s, int argc, char **argv);
int cmd_where(struct session *s, int argc, char **argv);

/* "xlrbd: " and the sentence, to stderr; returns FAILED. */
int fail(const char *format, ...) PRINTF(1, 2);
/* Not yet: fail() only remembers, until they are to be told again. */
void keep_failures(void);
void tell_failures(void);
/* The last sentence. */
const char *last_failure(void);
/* The library's sentence. */
int fail_ctx(const struct session *s);
/*
 * What "POOL[/NS]/IMAGE[@SNAP]", "POOL:IMAGE" and so on mean, reached as the
 * session's options say; disposed of by the caller.
 */
int spec_of(struct session *s, const char *target,
	    struct xlrbd_spec *spec_out) CHECKED;

/* CLOCK_MONOTONIC */
int64_t now_ms(void);
void pause_a_moment(void);

/* output.c: rows for people or for programs */

struct column {
	const char *title;
	const char *key;
};

/*
 * An array of objects as a table, whose columns are members of these, or as it
 * is if --json was given.  Takes @rows over.
 */
int print_rows(const struct session *s, json_t *rows,
	       const struct column *columns, size_t n) CHECKED;
/* With --json: an array of just @row, which it takes over. */
int print_row(const struct session *s, json_t *row) CHECKED;
/* The text of @row's @key, "" if there is none. */
const char *text_of(const json_t *row, const char *key);
/* The number, 0 if there is none. */
int64_t number_of(const json_t *row, const char *key);
/* Set @row's @key, unless the value is empty. */
void set_text(json_t *row, const char *key, const char *value);
/* 2026-11-20 14:03 */
json_t *time_value(int64_t when);
/* Has everything arrived that was printed? */
int finish_output(void) CHECKED;

/* domains.c: who runs where, from the entries in the locks of images */

/*
 * An array of a row per domain and host, in the order of their names.  With
 * @name only rows of that domain.  An image or pool that could not be looked at
 * is a row with "trouble".
 */
int find_domains(struct session *s, const char *name, json_t **rows_out)
	CHECKED;
/* Is there a row that is not just trouble? */
bool has_domain(const json_t *rows);
/* A holder as an object. */
json_t *holder_row(const struct xlrbd_holder *holder);
bool is_this_host(const char *host);

/* domain.c: domains of this host, through libxenlight; see domain.h */

#define NO_DOMAIN	(~0u)

bool xen_is_here(void);
/* "4.17.7", if it answers. */
bool xen_version(char *out, size_t size);

enum domain_action {
	DOMAIN_SHUTDOWN, DOMAIN_REBOOT, DOMAIN_PAUSE, DOMAIN_UNPAUSE,
	DOMAIN_DESTROY,
	DOMAIN_CONSOLE,		/* becomes xenconsole; returns if it cannot */
};

/* NO_DOMAIN if this host has none of that name. */
int domain_find(const char *name, unsigned int *domid_out) CHECKED;
/* Of libxl_domain_config as JSON; paused. */
int domain_create(struct session *s, const char *json,
		  unsigned int *domid_out) CHECKED;
int domain_act(enum domain_action action, unsigned int domid,
	       const char *name) CHECKED;
/* Those with a name, but domain 0: "domain", "domid", "memory_kb", "incoming". */
int domain_list(json_t **rows_out) CHECKED;
bool domain_exists(unsigned int domid);
bool domain_is_paused(unsigned int domid);
bool domain_is_suspended(unsigned int domid);
/* Is it the name of a domain that is about to arrive by migration? */
bool is_incoming(const char *name);
/* The name of a domain if it still is the one with that UUID, or NULL. */
char *domain_name(unsigned int domid, const char *uuid) CHECKED;
/* NO_DOMAIN if this host has none with that UUID; its name is freed by caller. */
int domain_find_uuid(const char *uuid, unsigned int *domid_out,
		     char **name_out) CHECKED;

/* runfile.c: what is going on on this host, and whether somebody is at it */

#define RUN_PATH_MAX	512

/* Locked; -1, with errno EWOULDBLOCK if another process has it. */
int run_file_take(const char *name, bool make) CHECKED;
/* It is over: deletes it; -1 is fine. */
void run_file_drop(int fd);
json_t *run_file_read(const char *name) CHECKED;
/* Each file whose name begins so; FAILED if @fn has, for one. */
int run_files(const char *prefix, int (*fn)(void *data, const char *name),
	      void *data) CHECKED;

/* monitor.c: the one who stays with a domain that was created here */

/* Starts one; it watches when this returns. */
int monitor_start(unsigned int domid) CHECKED;
/* Was there one, and is no more?  A domain of xl's has none of ours. */
bool monitor_is_lost(unsigned int domid);
/*
 * There is to be one: as if it had been lost, but not before *@lock_out is
 * closed.
 */
int monitor_expect(unsigned int domid, int *lock_out) CHECKED;
/* There will be none after all; a lock of -1 is fine. */
void monitor_forget(int lock);
/* Starts another one in the place of one that is lost. */
int monitor_adopt(unsigned int domid, const char *name) CHECKED;

/* cmd-create.c */

/* Ends what a create left that was killed; of that name, or of all (NULL). */
int settle_creations(const char *name) CHECKED;
/* Creates it, with a monitor, and lets it run; or leaves nothing of it. */
int domain_start(struct session *s, const char *json, const char *name,
		 bool paused, unsigned int *domid_out) CHECKED;

/* cmd-stop.c */

/* What a command does where the domain is; its exit code. */
typedef int here_fn(struct session *s, const char *name, unsigned int domid);

/* Does it if that is here; has it done on the host that has the domain. */
int where_it_is(struct session *s, const char *name, here_fn *fn) CHECKED;
/* Until its disks are released. */
int shut_down_and_wait(struct session *s, const char *name,
		       unsigned int domid) CHECKED;

/* departure.c: migrations from this host; see migrate.h */

/*
 * Puts right what was interrupted, of one domain or (NULL) of all; FAILED if
 * that cannot be, or if the domain is being migrated at this moment.
 */
int settle_migrations(struct session *s, const char *name) CHECKED;

/* channel.c: other hosts' xlrbd; see migrate.h */

/* Who @host is: "host", "xen_major", "free_kb"... */
int ask_host(struct session *s, const char *host, json_t **hello_out) CHECKED;

/* places.c: where domains could go, and the memory there */

/*
 * The hosts of @argv, or those of xlrbd.conf, but this one: who they are as
 * they answered, "name", by which we know them, and "free_kb".  FAILED if there
 * is none; one that does not answer is told of, no more.
 */
int find_places(struct session *s, int argc, char **argv, json_t **places_out)
	CHECKED;
/* The one with the most memory left of those not @tried; -1 if there is none. */
int roomiest_place(const json_t *places, const bool *tried);
/*
 * What is on its way takes its memory bit by bit: here at once; if it turned
 * round (below 0), no more.
 */
void book_memory(json_t *place, int64_t kb);

/* xlcfg.c: xl.cfg(5) */

/* What xl makes of @text: libxl_domain_config as JSON. */
int xlcfg_parse(const char *text, json_t **config_out) CHECKED;
/* What is in a file, or on stdin ("-"); NULL after a sentence; to be freed. */
char *xlcfg_read(const char *path) CHECKED;
/* Does it say KEY = "..."? */
bool xlcfg_has(const char *text, const char *key) CHECKED;

/* scanners.c: who else opens block devices in domain 0 */

bool lvm_takes_guests_disks(void);
bool multipath_takes_guests_disks(void);

/* remote.c: other hosts */

/* " 'text'", for a shell; freed by the caller. */
char *shell_quoted(const char *text) CHECKED;
/* This command on @host; its exit code. */
int remote_run(struct session *s, const char *host) CHECKED;
/* What @command prints on @host, freed by the caller; FAILED if it fails. */
int remote_output(struct session *s, const char *host, const char *command,
		  char **output_out) CHECKED;
/* @command on @host, to talk to: see program_open(). */
int remote_start(struct session *s, const char *host, const char *command,
		 int *in, int *out, pid_t *pid) CHECKED;

/* program.c: other programs */

/*
 * Runs @argv with our own stdout, and nothing on stdin, which may be the list
 * that a loop in a shell goes through; its exit code, or -1.
 */
int program_run(const char *const argv[]) CHECKED;

/*
 * Runs @argv with nothing on stdin; its stdout is the caller's to free.
 * Returns its exit code, or -1 if it could not be run.
 */
int program_output(const char *const argv[], char **output_out) CHECKED;
/* The same with its stderr. */
int program_output_both(const char *const argv[], char **out, char **err)
	CHECKED;
/*
 * Starts @argv to go on by itself; returns when it has closed its stdout, with
 * what it wrote there until then, or NULL.
 */
char *program_start(const char *const argv[]) CHECKED;

/* Starts @argv; what goes to its stdin, and comes from its stdout; -1. */
pid_t program_open(const char *const argv[], int *in, int *out) CHECKED;
/* Its exit code, or -1. */
int program_wait(pid_t pid);
/* It is to end by itself; after @patience_ms it is asked to. */
void program_end(pid_t pid, int64_t patience_ms);

#endif /* XLRBD_TOOL_H */
