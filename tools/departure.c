// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Migrations that have begun on this host: a file each, locked as long as
 * `xlrbd migrate` lives.  Of one that was killed the file tells the next
 * command who to ask where the domain is now.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migrate.h"

#define FILE_NAME	"migrating-%u"

static void file_name(unsigned int domid, char out[64])
{
	snprintf(out, 64, FILE_NAME, domid);
}

/* In one write of one length, so that it is there as a whole, or not at all. */
static int write_phase(struct departure *d, const char *phase)
{
	json_t *json = json_pack("{s:s s:s s:s s:s s:i}", "name", d->name,
				 "uuid", d->uuid, "host", d->host, "id", d->id,
				 "pid", getpid());
	char text[1024] = "";
	size_t n;

	json_object_set_new(json, "phase", json_string(phase));
	n = json_dumpb(json, text, sizeof(text), JSON_COMPACT);
	json_decref(json);
	if (!n || n >= sizeof(text))
		return fail("the name is too long");
	memset(text + n, ' ', sizeof(text) - n);
	text[sizeof(text) - 1] = '\n';
	return pwrite(d->file, text, sizeof(text), 0) == sizeof(text) ?
	       DONE : fail("write to " XLRBD_RUN_DIR ": %m");
}

/* Another domain may have had the domid. */
static int check_settled(const struct departure *d, const char *name)
{
	json_t *json = run_file_read(name);
	int rc = DONE;

	if (!strcmp(text_of(json, "uuid"), d->uuid))
		rc = fail("%s: its migration to %s was interrupted; run `xlrbd gc` first",
			  text_of(json, "name"), text_of(json, "host"));
	json_decref(json);
	return rc;
}

int departure_begin(struct departure *d)
{
	char name[64];

	file_name(d->domid, name);
	d->file = run_file_take(name, true);
	if (d->file < 0)
		return errno == EWOULDBLOCK ?
		       fail("%s: is being migrated by another process",
			    d->name) :
		       fail(XLRBD_RUN_DIR "/%s: %m", name);
	if (!check_settled(d, name))
		return write_phase(d, "copy");
	close(d->file);
	d->file = -1;
	return FAILED;
}

int departure_is_told(struct departure *d)
{
	return write_phase(d, "go");
}

void departure_end(struct departure *d)
{
	run_file_drop(d->file);
}

int departure_take_back(const struct departure *d)
{
	int rc = DONE;

	if (domain_is_suspended(d->domid))
		rc = domain_resume(d->domid, d->name);
	return rc ? rc : domain_rename(d->domid, d->name);
}

/* Nobody knows, or nobody has it: then it takes a human to end this copy. */
static int fail_unknown(const struct departure *d, bool ended)
{
	if (ended)
		return fail("%s: has run on %s, or that host was started anew, and is not there any more: what the copy here, domain %u, remembers may be of before that, so it stays suspended, as %s" MIGRATED_AWAY ".  Where it is tells `xlrbd where %s`; to start it from its disks: `xl destroy %u`, then `xlrbd create %s`",
			    d->name, d->host, d->domid, d->name, d->name,
			    d->domid, d->name);
	return fail("%s: has it arrived on %s?  That is not known, so the copy here stays suspended as domain %u, %s" MIGRATED_AWAY "; any xlrbd command for it asks again.  If %s is dead for good: `xl destroy %u`, `xlrbd takeover %s`, `xlrbd create %s`",
		    d->name, d->host, d->domid, d->name, d->host, d->domid,
		    d->name, d->name);
}

static int ask(struct session *s, struct departure *d, bool *arrived)
{
	char *command, *output, *name;
	int rc;

	name = shell_quoted(d->name);
	if (!name || asprintf(&command, "xlrbd arrived --%s %s %s", name,
			      d->uuid, d->id) < 0) {
		free(name);
		return fail("out of memory");
	}
	rc = remote_output(s, d->host, command, &output);
	*arrived = !rc && !strcmp(output, "running\n");
	if (rc || (!*arrived && strcmp(output, "untold\n") != 0))
		rc = fail_unknown(d, !rc && !strcmp(output, "ended\n"));
	free(output);
	free(command);
	free(name);
	return rc;
}

int departure_settle(struct session *s, struct departure *d, bool *arrived)
{
	int rc = ask(s, d, arrived);

	if (!rc && *arrived)
		return domain_act(DOMAIN_DESTROY, d->domid, d->name);
	/* It is not said a second time. */
	if (!rc)
		rc = write_phase(d, "copy");
	return rc ? rc : departure_take_back(d);
}

/* With its file locked: nobody is at work on it any more. */
static int settle(struct session *s, struct departure *d, const char *phase)
{
	bool arrived = false;
	unsigned int domid;
	char *name;
	int rc;

	rc = domain_find_uuid(d->uuid, &domid, &name);
	free(name);
	if (rc || domid != d->domid)
		return rc;
	/* Never told to run there, so it does not. */
	if (strcmp(phase, "go") != 0)
		rc = departure_take_back(d);
	else
		rc = departure_settle(s, d, &arrived);
	if (rc)
		return rc;
	if (arrived)
		fail("%s: has arrived on %s; its old copy here is gone",
		     d->name, d->host);
	else
		fail("%s: its migration to %s was interrupted; it goes on here",
		     d->name, d->host);
	return DONE;
}

/* What settling takes. */
struct wanted {
	struct session *s;
	const char *name;	/* NULL: all */
};

/* With that file locked: what it says now is the last that it says. */
static int settle_locked(struct session *s, const char *file, int fd)
{
	json_t *json = run_file_read(file);
	struct departure d = {
		.name = text_of(json, "name"), .uuid = text_of(json, "uuid"),
		.host = text_of(json, "host"), .id = text_of(json, "id"),
		.file = fd,
	};
	int rc = DONE;

	if (sscanf(file, FILE_NAME, &d.domid) == 1)
		rc = settle(s, &d, text_of(json, "phase"));
	if (rc)
		close(fd);
	else
		departure_end(&d);
	json_decref(json);
	return rc;
}

static int settle_file(void *data, const char *file)
{
	const struct wanted *wanted = data;
	json_t *json = run_file_read(file);
	const char *name = text_of(json, "name");
	int fd, rc = DONE;

	if (!wanted->name || !strcmp(wanted->name, name)) {
		fd = run_file_take(file, false);
		if (fd >= 0)
			rc = settle_locked(wanted->s, file, fd);
		else if (wanted->name && errno == EWOULDBLOCK)
			rc = fail("%s: is being migrated to %s by process %lld",
				  name, text_of(json, "host"),
				  (long long)number_of(json, "pid"));
	}
	json_decref(json);
	return rc;
}

int settle_migrations(struct session *s, const char *name)
{
	struct wanted wanted = { s, name };

	return run_files("migrating-", settle_file, &wanted);
}
