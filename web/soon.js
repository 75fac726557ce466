/** The modules that a chat needs after its first key, in one file: it is loaded as soon as the box can be used. */

import { ChaptersView } from "./chapters-view.js";
import { ChatFiles } from "./conversations/chat-files.js";
import { MediaControls } from "./media-session.js";
import { Listening } from "./microphone/listening.js";
import { upload } from "./microphone/upload.js";
import { Narration } from "./narration.js";
import { Notices } from "./notices.js";
import { Player } from "./player.js";
import { Sidebar } from "./sidebar.js";
import { StoryView } from "./story-view.js";
import { Devices } from "./voice/devices.js";

export { ChaptersView, ChatFiles, Devices, Listening, MediaControls, Narration, Notices, Player, Sidebar, StoryView, upload };
