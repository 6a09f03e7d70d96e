// Each channel in its own words: how a customer is named, what a message offers to tap, and how a picture is written.
// A further channel needs no entry: its taps and customers are taken as they are.

const digits = (text) => text.replace(/\D/g, "");

/** A tap that is nothing but words. */
const say = (title) => ({ title, line: { text: title } });

const whatsapp = {
  example: "15550100001",
  person: (typed) => (typed.includes(".") ? typed : digits(typed)),
  offers({ payload, external_id: id }) {
    const { interactive } = payload;
    if (!interactive) return [];
    const action = interactive.action || {};
    const reply = (type, { id: row, title, description }) => ({
      title,
      line: {
        text: title,
        message: { type: "interactive", context: { id }, interactive: { type, [type]: { id: row, title, description } } },
      },
    });
    const rows = (action.sections || []).flatMap((section) => section.rows || []);
    const link = interactive.type === "cta_url" ? [{ title: action.parameters.display_text, url: action.parameters.url }] : [];
    return [
      ...(action.buttons || []).map((button) => reply("button_reply", button.reply)),
      ...rows.map((row) => reply("list_reply", row)),
      ...link,
    ];
  },
  picture: ({ text, type, data }) => ({
    message: { type: "image", image: { mime_type: type, data, ...(text && { caption: text }) } },
  }),
  file: (payload) => payload[payload.type] && payload[payload.type].link,
};

const telegram = {
  example: "5550100001",
  person: digits,
  offers({ payload }) {
    const markup = payload.reply_markup || {};
    const inline = (markup.inline_keyboard || []).flat().map((button) => {
      if (button.url) return { title: button.text, url: button.url };
      const id = String(Date.now()) + String(Math.floor(Math.random() * 1e6));
      return { title: button.text, line: { text: button.text, message: { callback_query: { id, data: button.callback_data } } } };
    });
    return [...inline, ...(markup.keyboard || []).flat().map((button) => say(button.text || button))];
  },
  picture: ({ text, data }) => ({
    message: { photo: [{ width: 1, height: 1, content: data }], ...(text && { caption: text }) },
  }),
};

const instagram = {
  example: "17840000000000001",
  person: (typed) => typed,
  offers({ payload }) {
    const message = payload.message || {};
    const card = (message.attachment && message.attachment.payload) || {};
    const buttons = [...(card.buttons || []), ...(card.elements || []).flatMap((element) => element.buttons || [])];
    const quick = (message.quick_replies || []).map(({ title, payload: value }) => ({
      title,
      line: { text: title, message: { message: { text: title, quick_reply: { payload: value } } } },
    }));
    const postbacks = buttons.map(({ title, url, payload: value }) =>
      url ? { title, url } : { title, line: { text: title, message: { postback: { title, payload: value } } } });
    return [...quick, ...postbacks];
  },
  picture: ({ type, data }) => ({ message: { message: { attachments: [{ type: "image", payload: { media_type: type, base64: data } }] } } }),
};

const twilio = {
  example: "+15550100001",
  person(typed, account) {
    const bare = typed.replace(/^whatsapp:/, "");
    const number = /[a-z]/i.test(bare) || digits(bare).length < 9 ? bare : `+${digits(bare)}`;
    return String(account).startsWith("whatsapp:") ? `whatsapp:${number}` : number;
  },
  // There are no buttons: choices are numbered lines, and the number is the answer.
  offers: ({ text }) =>
    [...String(text || "").matchAll(/^(\d{1,2})[.)] (.{1,80})$/gm)].map(([line, number]) => ({ title: line, line: { text: number } })),
  picture: ({ text, type, data }) => ({ text: text || undefined, message: { MediaContentType0: type, MediaContent0: data } }),
  file: (payload) => (Array.isArray(payload.MediaUrl) ? payload.MediaUrl[0] : null),
};

const webchat = {
  example: "visitor-1",
  person: (typed) => typed,
  offers: ({ payload }) =>
    (payload.buttons || []).map((button) => (button.url ? { title: button.title, url: button.url } : say(button.title))),
};

const known = { whatsapp, telegram, instagram, twilio, webchat };

/** The words of a channel. `picture` is missing where customers cannot send any. */
export const platform = (channel) => known[channel] || { example: "customer-1", person: (typed) => typed, offers: () => [] };
