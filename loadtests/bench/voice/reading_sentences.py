"""Sentences full of what is not written as it is spoken, for `loadtests bench-reading`."""

from typing import Final

ENGLISH: Final = """\
It costs $3.50 at the small shop.
The new house was sold for $1,299,000 last week.
She paid €12 for the ticket and £7.20 for lunch.
The company made $2.5 billion in one year.
About 45% of the people said yes.
The bank pays 2.5% on the account.
The river is 12 km long and 40 m wide.
He weighs 82 kg and is 1.85 m tall.
It was -5 °C in the morning and 21 °C at noon.
The car drove at 130 km/h on the open road.
The meeting begins at 5:30 p.m. on Monday.
We left the hotel at 10:05 in the morning.
The shop is open 9am-5pm every day.
The train leaves at 7:45 a.m. sharp.
On Oct. 3, 1998 it rained all day.
She was born on March 21, 1984 in Boston.
The war ended on 8 May 1945 in Europe.
The report was written on 2024-10-03 by the team.
The payment is due on 12/25/2023 at the latest.
In 1969 a man walked on the moon.
The 1990s were a good time for music.
The 1st prize went to the 22nd runner.
Pi is about 3.14 and e is about 2.72.
There were 1,204 people in the hall.
The city has 3.5 million people today.
Take 1/2 of the cake and 3/4 of the bread.
Add 2 1/2 cups of milk and stir well.
Call 555-0172 if you need any help.
Please call (212) 555-0199 after lunch.
In an emergency dial 911 at once.
World War II ended in 1945.
King Henry VIII had six wives.
Please read Chapter IV before the class.
Queen Elizabeth II ruled for 70 years.
Louis XIV built a palace near Paris.
Dr. Smith lives on Main St. near the park.
Mr. Brown and Mrs. Green are here.
Prof. Lee teaches history, e.g. of Rome.
Bring apples, pears, etc. to the party.
The home team won 3:2 in the last minute.
They lost the game 5-1 on Sunday.
See pp. 10-12 of the book.
The answer is in Fig. 3 on p. 27.
Open www.example.com to read more.
Write to ann@example.com for the details.
The file is called notes.txt on my desk.
Please install version 2.0.1 of the program.
5 + 3 = 8 is an easy sum.
We know that 12 - 4 = 8 is right.
The area is 5 m² in all.
Water is H2O and plants need CO2 to grow.
The letter α is the first and ω is the last.
The battery holds 5 kWh of energy.
My phone has 128 GB of memory.
The song plays at 440 Hz on the piano.
The box is 30 cm wide and 20 cm high.
It takes 2h 30m to drive home.
The film is 95 min long.
Bake it at 350 °F for 25 mins.
The ship sank in 1912 with 1,500 people.
She ran 100 m in 11.5 s last summer.
The speed limit is 55 mph here.
There are 24 hrs in a day.
The room is no. 12 on the left.
He was #1 in the world for years.
About 5-10 people came to the talk.
The years 1914-1918 were terrible.
Between 10% and 15% of them left.
The price rose from $5 to $7.25 in June.
We need 3x more time for this.
The temperature fell by 10° in the night.
Use 2 tbsp of oil and 1 tsp of salt.
The U.S. Army came in the spring.
NASA sent a probe to Mars in 2003.
The FBI and the CIA work with the police.
He is 6 ft tall and weighs 180 lbs.
The diamond weighs 8 oz in the box.
My office is in room 405 upstairs.
The flight lands at 18:30 in London.
The code is 4711 for the door.
Her number is 617-555-9876 at work.
The book has 352 pages and 12 chapters.
The 20th century was long and hard.
Today is Friday, Nov. 29 and it snows.
The museum opened on July 4, 1976.
Only 0.5% of the water is lost.
The tower is 324 m high.
It is 9 o'clock and 15 minutes.
The journey of 1,000 miles begins with 1 step.
I have 2 cats & 3 dogs at home.
The plane flies at 900 km/h over the sea.
They raised $76,000 for the school.
He sold 15,000 copies in 3 weeks.
The team scored 101 points in all.
His salary is $45,000 per year.
The lake is 7.5 mi from here.
There are 60 s in a minute and 3,600 s in an hour.
The patient takes 250 mg twice a day.
The engine has 150 hp and 4 wheels.
The answer to 6 × 7 = 42 is known.
""".splitlines()
