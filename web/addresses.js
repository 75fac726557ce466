/** The address of a session within this page. */
export const addressOf = ({ id, kind }) => `./?${kind === "story" ? "story" : "session"}=${encodeURIComponent(id)}`;
