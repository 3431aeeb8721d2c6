/*
 * The peer lease (ARCHITECTURE.md, "The peer lease") as one owner, its grantors, etcd, and an
 * adversary who delays, loses and repeats frames, pauses and restarts processes, and lets watches
 * lag. tests/model/run checks it with spin: at no moment may the owner's packets pass once its
 * session was ended by the word of its grantors, for from then on another node owns.
 *
 * TIME is one global tick, and a term's timeout is F ticks. Each instant is kept as the ticks left
 * until it, or gone by since it. A tick may fall between any two steps, and that alone is every
 * pause of a process, and every late frame and watch.
 *
 * WHAT STANDS FOR WHAT
 *   owner       what it does besides its packets is left out: the fence stands for all of it, since
 *               it is set by the owner and drops packets whatever the owner's process does.
 *   fence       ticks until it closes, or Open: no term is obeyed, as far as the process knew when
 *               it set it last.
 *   frame       one in each term to or from each grantor; a new request replaces the one before.
 *               Its age is that of the request. What is older than F grants nothing.
 *   chain       what was sent at its present end; whichever commits first, the others never do.
 *               The owner sends nothing more before it knows.
 *   grantor     sees the key whenever its watch comes to it, and may lose sight of it and find it
 *               again.
 *   word        what a grantor said once is known to everybody for ever.
 *   takeover    at the moment the txn is executed; the next owner is there at once.
 *   deletion    while etcd takes no writes: outside the chain, by the key's revision. A term is put
 *               once, so its number stands for the revision.
 *
 * BOUNDS: TERMS terms, entered in order; M grantors, the same in each, or with -DSHRINKS one fewer
 * in the second; FAULTS times a process is restarted or a grantor loses sight of the key; with
 * -DNOSPACE deletions outside the chain. NOT MODELLED: drift, the etcd lease's own deadline, several owners, links.
 */
#ifndef F
#define F 2
#endif
#ifndef M
#define M 2
#endif
#ifndef TERMS
#define TERMS 2
#endif
#ifndef FAULTS
#define FAULTS 1
#endif

#define NoRule       0
#define SentTime     1    /* a grant counts from before its request was sent */
#define Final        2    /* what has expired is never granted again */
#define Remembered   3    /* ... whatever becomes of the view of the key */
#define FirstShown   4    /* a promise lasts F from when the key was first shown, too */
#define OwnTimeout   5    /* the term's F, not the grantor's own */
#define Restarted    6    /* a restarted process never grants in terms that list the former one */
#define Quorum       7    /* so many must have expired that any that could keep the owner has one */
#define Comparison   8    /* the session is ended only if the term is still in force */
#define ObeyedBefore 9    /* a term is obeyed from before its link is sent */
#define FenceFirst   10   /* ... and the fence is lowered before */
#define BothTerms    11   /* until the chain has spoken, both are obeyed */
#define LeaveLate    12   /* a term is obeyed until its deletion is known to be committed */
#define DeletesOne   13   /* a deletion ends the term of its revision and no other */
#define TakenUp      14   /* a new process obeys the term that it finds */
#define StillOurs    15   /* a key that is gone says nothing where the session may have been ended */
#ifndef WITHOUT
#define WITHOUT NoRule
#endif
#define RULE(r)  (WITHOUT != r)

#define N    (TERMS * M)
#define AT(T, G)  (((T) - 1) * M + (G))
#define Open 15

#ifdef SHRINKS
#define MEMBERS(T)  ((T) == 1 -> M : M - 1)
#else
#define MEMBERS(T)  M
#endif
#define TO_OWN(T)   ((MEMBERS(T) + 1) / 2)
#define TO_END(T)   (MEMBERS(T) - TO_OWN(T) + (RULE(Quorum) -> 1 : 0))

/* ======== State ======== */

/* etcd */
byte key;            /* the term in force; 0: none */
byte put_term;       /* under way: the link that enters that term, ... */
bit put_leave;       /* ... the one that leaves, at the same end of the chain ... */
byte deletion;       /* ... and, outside it, a deletion of that term's key */
byte deleted;        /* its answer: that term is not in force any more */
byte won;            /* the link that committed, not known to the owner yet */
byte won_term;
#define None    0
#define Entered 1
#define Left    2
#define Beat    3
bit ended;           /* by the word of the grantors */

/* The owner. */
byte next = 1;       /* the term that it may try next */
byte in_force;
byte entering;
byte grant[N];       /* ticks that it lasts */
byte fence = Open;

byte frame[N];       /* 0: none; 1 + the age of a request; F + 1 + that of a grant's request */

/* The grantors. */
byte shown[M];       /* the term that its watch shows */
byte silent[N] = F;  /* ticks since the last grant while it was shown, or since it was shown */
bit expired[N];      /* what it remembers ... */
bit said[N];         /* ... and what the others heard */
bit gone[M];         /* restarted: it has another name */

byte faults = FAULTS;

#ifdef SHORTEST               /* spin's breadth-first search knows no hidden variables */
byte i, n, best, limit, value;
#else
hidden byte i, n, best, limit, value;
#endif

/* ======== What follows from it ======== */

/* In ticks: the moment at which the grant of so many of its grantors ends that it needs. */
inline deadline(T) {
  limit = 0;
  best = 1;
  do
  :: best > F -> break
  :: else ->
     n = 0;
     i = 0;
     do
     :: i == MEMBERS(T) -> break
     :: else -> if :: grant[AT(T, i)] >= best -> n++ :: else fi; i++
     od;
     if :: n >= TO_OWN(T) -> limit = best :: else fi;
     best++
  od
}

inline set_fence() {
  value = Open;
  if
  :: in_force != 0 -> deadline(in_force); value = limit
  :: else
  fi;
  if
  :: entering != 0 && RULE(ObeyedBefore) ->
     deadline(entering);
     if :: limit < value -> value = limit :: else fi
  :: else
  fi;
  fence = value;
  assert(!ended || fence == 0)
}

inline restart_owner() {
  in_force = (RULE(TakenUp) -> key : 0);
  entering = 0;
  put_term = 0; put_leave = 0; won = None; won_term = 0;
  deleted = 0;
  i = 0;
  do :: i == N -> break :: else -> grant[i] = 0; frame[i] = 0; i++ od;
  i = 0
}

inline restart_grantor(G) {
  if
  :: RULE(Restarted) -> gone[G] = 1
  :: else ->
     i = 1;
     do
     :: i > TERMS -> break
     :: else -> expired[AT(i, G)] = 0; silent[AT(i, G)] = 0; i++
     od
  fi;
  i = 0
}

inline count_said(T) {
  n = 0;
  i = 0;
  do
  :: i == MEMBERS(T) -> break
  :: else -> if :: said[AT(T, i)] -> n++ :: else fi; i++
  od
}

inline tick() {
  i = 0;
  do
  :: i == N -> break
  :: else ->
     if :: grant[i] > 0 -> grant[i]-- :: else fi;
     if
     :: frame[i] == 0
     :: frame[i] == F || frame[i] == 2 * F -> frame[i] = 0   /* worth nothing any more */
     :: else -> frame[i]++
     fi;
     if :: silent[i] < F -> silent[i]++ :: else fi;
     i++
  od;
  if :: fence != Open && fence > 0 -> fence-- :: else fi
}

/* ======== Steps ======== */

#define ASKED(T)    ((T) == in_force || (T) == entering || ((T) == next && entering == 0))
#define IDLE        (won == None && !ended)
#define PATIENCE    (RULE(OwnTimeout) -> F : F - 1)

/* Between the owner and grantor G in term T. */
#define PEER(T, G)                                                                            \
  :: d_step { ASKED(T) && G < MEMBERS(T) && frame[AT(T, G)] != 1 -> frame[AT(T, G)] = 1 }     \
  :: d_step {                                                                                 \
       frame[AT(T, G)] > 0 && frame[AT(T, G)] <= F && !gone[G] &&                             \
       (!expired[AT(T, G)] || !RULE(Final)) ->                                                \
         frame[AT(T, G)] = frame[AT(T, G)] + F;                                               \
         if :: shown[G] == T -> silent[AT(T, G)] = 0 :: else fi }                             \
  :: d_step {                                                                                 \
       frame[AT(T, G)] > F ->                                                                 \
         value = (RULE(SentTime) -> 2 * F + 1 - frame[AT(T, G)] : F);                         \
         if :: value > grant[AT(T, G)] -> grant[AT(T, G)] = value :: else fi;                 \
         frame[AT(T, G)] = 0 }                                                                \
  :: d_step {                                                                                 \
       shown[G] == T && G < MEMBERS(T) && silent[AT(T, G)] >= PATIENCE && !gone[G] &&         \
       !expired[AT(T, G)] -> expired[AT(T, G)] = 1; said[AT(T, G)] = 1 }

#define GRANTOR(G)                                                                            \
  :: d_step {                                                                                 \
       shown[G] != key && key != 0 ->                                                         \
         shown[G] = key;                                                                      \
         if :: RULE(FirstShown) -> silent[AT(key, G)] = 0 :: else fi }                        \
  :: d_step {                                                                                 \
       shown[G] != 0 && faults > 0 ->                                                         \
         faults--;                                                                            \
         if :: !RULE(Remembered) -> expired[AT(shown[G], G)] = 0 :: else fi;                  \
         silent[AT(shown[G], G)] = F;                                                         \
         shown[G] = 0 }                                                                       \
  :: d_step { !gone[G] && faults > 0 -> faults--; restart_grantor(G) }

#define TERM(T)                                                                               \
  :: d_step {                                                                                 \
       IDLE && next == T && entering == 0 && !put_leave ->                                    \
         entering = T; put_term = T; next++;                                                  \
         if :: !RULE(BothTerms) -> in_force = 0 :: else fi;                                   \
         if :: RULE(FenceFirst) -> set_fence() :: else fi }                                   \
  :: d_step {                                                                                 \
       !ended && (key == T || !RULE(Comparison)) ->                                           \
         count_said(T);                                                                       \
         if                                                                                   \
         :: n >= TO_END(T) -> ended = 1; key = 0; assert(fence == 0)                          \
         :: else                                                                              \
         fi }

active proctype world() {
  do
  PEER(1, 0)
  PEER(1, 1)
#if M > 2
  PEER(1, 2)
#endif
  GRANTOR(0)
  GRANTOR(1)
#if M > 2
  GRANTOR(2)
#endif
  TERM(1)
#if TERMS > 1
  PEER(2, 0)
  PEER(2, 1)
#if M > 2
  PEER(2, 2)
#endif
  TERM(2)
#endif

  /* the owner's process */
  :: d_step { set_fence() }
  :: d_step {
       IDLE && !put_leave && (in_force != 0 || entering != 0) ->
         put_leave = 1;
         if :: !RULE(LeaveLate) -> in_force = 0; entering = 0 :: else fi }
  :: d_step { won == Entered -> in_force = won_term; entering = 0; won = None; won_term = 0 }
  :: d_step { won == Left -> in_force = 0; entering = 0; won = None }
  :: d_step { won == Beat -> entering = 0; won = None }
#ifdef NOSPACE
  :: d_step { deletion == 0 && deleted == 0 && in_force != 0 -> deletion = in_force }
  :: d_step {
       deleted != 0 ->
         if :: in_force == deleted -> in_force = 0 :: else fi;
         if :: !RULE(DeletesOne) -> entering = 0 :: else fi;
         deleted = 0 }
#endif
  :: d_step { !ended && faults > 0 -> faults--; restart_owner() }

  /* etcd */
  :: d_step {
       !ended && put_term != 0 ->
         key = put_term; won = Entered; won_term = put_term; put_term = 0; put_leave = 0 }
  :: d_step { !ended && put_leave -> key = 0; won = Left; put_term = 0; put_leave = 0 }
  :: d_step { !ended && (put_term != 0 || put_leave) -> won = Beat; put_term = 0; put_leave = 0 }
#ifdef NOSPACE
  :: d_step {
       deletion != 0 ->
         if
         :: key == deletion -> key = 0; deleted = deletion
         :: key == 0 && (!ended || !RULE(StillOurs)) -> deleted = deletion
         :: else
         fi;
         deletion = 0 }
#endif

  :: d_step { tick() }
  od
}
