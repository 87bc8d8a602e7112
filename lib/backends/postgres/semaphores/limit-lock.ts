import { LimitMismatchError, type LockError, LockUnavailableError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Commands } from '../commands/commands.js';
import { type PublishedId, publishedId, publishedNumber } from '../ids/published-id.js';
import { PUBLISH, PUBLISHED_NOT, UNPUBLISH } from '../ids/published-statement.js';
import { Question } from '../sessions/question.js';
import type { Session } from '../sessions/session.js';

/**
 * The limit of a semaphore, published to the other processes for as long as this one uses it: two limits would be two
 * semaphores that share some of their slots.
 */
export class LimitLock {
  private readonly id: PublishedId;
  /** The session on which the limit is published. It ends with the session. */
  private session: Session | undefined;

  constructor(
    key: string,
    private readonly limit: number,
    private readonly commands: Pick<Commands, 'session' | 'outage' | 'query'>,
  ) {
    this.id = publishedId(`limit:${key}`, limit);
  }

  /** Whether the command session has published the limit, so that tries for slots are possible. During an outage, none are. */
  get isPublished(): boolean {
    const { session, outage } = this.commands;
    return outage !== undefined || (session !== undefined && this.session === session);
  }

  /**
   * Publishes the limit.
   * @param since when its caller began to wait
   * @param done is given a LimitMismatchError if another process uses another limit
   */
  publish(since: Ms, done: (error?: LockError) => void): void {
    const { classId, objectId } = this.id;
    const { session: asked } = this.commands;
    this.commands.query(
      new Question(PUBLISH, [classId, objectId], ({ rows, error }) => {
        if (!rows) {
          // A statement that fails may have taken it, and one whose answer is overdue may yet.
          if (asked && asked === this.commands.session) this.sendBack();
          return done(error);
        }
        // Before, there may have been none: this made it connect.
        const { session } = this.commands;
        const others = rows[0]?.[0] ?? '';
        if (others === '') {
          this.session = session;
          return done();
        }
        if (others === PUBLISHED_NOT) return done(this.taken(session));
        this.sendBack();
        done(this.mismatch(others, session));
      }),
      since,
    );
  }

  /** Takes the limit back. */
  withdraw(): void {
    const { session } = this;
    this.session = undefined;
    if (session && session === this.commands.session) this.sendBack();
  }

  private sendBack(): void {
    const { classId, objectId } = this.id;
    this.commands.query(new Question(UNPUBLISH, [classId, objectId], () => undefined));
  }

  private mismatch(others: string, session: Session | undefined): LockError {
    const limits = others.split(',').map((objectId) => publishedNumber(Number(objectId)));
    const text = `this process asked for ${this.limit}, others use ${[...new Set(limits)].join(', ')}`;
    return new LimitMismatchError({ server: session?.server, cause: new Error(text) });
  }

  private taken(session: Session | undefined): LockError {
    return new LockUnavailableError('another program has locked the id that stands for the limit of the semaphore', {
      server: session?.server,
    });
  }
}
